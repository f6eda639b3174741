# The bundles that the tests build. BUSYBOX and NUCLEUS are files of the host.
{ busybox, nucleus }:
let
  pkgs = import ./pkgs.nix { inherit busybox nucleus; };
  lib = import ../lib.nix { inherit pkgs; nucleus = pkgs.runtime; };
  rootfs = {
    packages = [ pkgs.shell ];
    extraFiles."/etc/greeting" = { text = "it's \"here\"\n"; };
    extraFiles."/srv/run" = { text = "#!/bin/sh\necho ran\n"; executable = true; };
    extraFiles."/srv/link" = { link = "/etc/greeting"; };
    extraFiles."/srv/stored" = "${pkgs.greeting}";
    # A directory of its own on the way to the store's places.
    extraFiles."${dirOf builtins.storeDir}/note" = "x";
    mountPoints = [ "/data" ];
  };
  common = {
    process.args = [ "/bin/sh" "-c" "cat /etc/greeting; /srv/run; exec 2>&1; echo >/bin/x; :" ];
    limits = { memory = "256M"; pids = 50; };
    policies = {
      capabilities = ./capabilities.toml;
      seccomp = ../../policies/builtin/agent-seccomp.json;
    };
  };
in
rec {
  inherit pkgs lib rootfs common;
  copied = lib.mkRootfs (rootfs // { copy = true; });
  linked = lib.mkRootfs rootfs;
  copiedBundle = lib.mkBundle (common // { name = "copied"; rootfs = copied; });
  linkedBundle = lib.mkBundle (common // { name = "linked"; rootfs = linked; });
  # For whatever a test wants to run: its process is a shell that reads what to do.
  shellBundle = lib.mkBundle (common // {
    name = "shell";
    rootfs = linked;
    process.args = [ "/bin/sh" ];
    process.env.COLOUR = "blue";
    user = { uid = 1000; gid = 1000; };
  });
  badPolicy = lib.mkBundle (common // { rootfs = copied; policies.landlock = ./bad-landlock.toml; });
  collision = lib.mkRootfs { packages = [ pkgs.shell pkgs.other ]; };
  # Of a nixpkgs in which every tool is the same package.
  agent = (import ../lib.nix {
    nucleus = pkgs.runtime;
    pkgs = builtins.listToAttrs (map (name: { inherit name; value = pkgs.shell; }) [
      "bashInteractive" "findutils" "diffutils" "gnugrep" "gnused" "gawk" "gnutar" "gzip" "xz" "which" "less" "patch" "curl"
      "cacert" "git" "ripgrep" "jq" "gcc" "binutils" "gnumake" "python3" "nodejs"
    ]) // pkgs;
  }).mkAgentRootfs { };
  first = lib.mkRootfs { packages = [ pkgs.shell pkgs.other ]; ignoreCollisions = true; };
}
