# What lib.nix needs of nixpkgs, made of a static busybox, so that the tests need no nixpkgs. BUSYBOX and NUCLEUS are files
# of the host.
{ busybox, nucleus }:
let
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = busybox;
    args = [ "sh" "-euc" script ];
    PATH = dirOf busybox;
    busybox = "${builtins.path { path = busybox; name = "static"; }}";
    host = busybox;
    inherit nucleus;
    preferLocalBuild = true;
    allowSubstitutes = false;
  };
  tool = words: ''
    $host mkdir -p $out/bin
    $host cp $busybox $out/bin/busybox
    for name in ${words}; do $host ln -s busybox $out/bin/$name; done
  '';
in
rec {
  system = builtins.currentSystem;
  coreutils = make "tools" (tool "sh cp mkdir ln rm cat chmod readlink sort");
  runtimeShell = "${coreutils}/bin/sh";
  # Packages for root filesystems: one of links into itself, one that is a file in the store, one that nothing refers to.
  shell = make "shell" ((tool "sh cat ls echo sleep env touch id head wc mount stat dd grep") + ''
    $host mkdir -p $out/etc/shell $out/share/doc
    echo setting >$out/etc/shell/setting
    $host ln -s ../etc/shell $out/share/shell
    echo "${greeting}" >$out/share/doc/reference
  '');
  greeting = builtins.toFile "greeting" "hello from the store\n";
  other = make "other" "$host mkdir -p $out/bin; echo '#!/bin/sh' >$out/bin/sh; $host chmod +x $out/bin/sh";
  unrelated = make "unrelated" "$host mkdir $out; echo secret >$out/secret";
  runtime = make "nucleus" "$host mkdir -p $out/bin; $host ln -s $nucleus $out/bin/nucleus";
}
