# mkRootfs: a root filesystem of links into the store, or of copies.
{ options, build }:
let
  inherit (builtins) attrNames concatStringsSep isAttrs isString map;
  inherit (build) quote;

  file = name: value:
    if isString value || options.isPath value then true
    else options.all [
      (options.record {
        text = options.string;
        source = options.path;
        link = options.string;
        executable = options.bool;
      })
      (options.is "one of text, source, link" (entry: builtins.length (builtins.filter (key: entry ? ${key}) [ "text" "source" "link" ]) == 1))
    ] name value;

  check = options.record {
    name = options.is "a name: letters, digits, + - . _" (options.isMatch "[0-9A-Za-z+_-][0-9A-Za-z+._-]*");
    packages = options.listOf options.package;
    extraFiles = name: value: options.attrsOf file name value
      && builtins.all (path: options.absolutePath "${name}.\"${path}\"" path) (attrNames value);
    mountPoints = options.listOf options.absolutePath;
    directories = options.listOf (options.is "the name of a directory" (options.isMatch "[^/]+(/[^/]+)*"));
    copy = options.bool;
    ignoreCollisions = options.bool;
  };

  # What Nix makes a store path of by being named in a text.
  sourceOf = value: if builtins.isPath value then "${value}" else toString value;

  step = path: value:
    let
      text = content: executable: "text ${quote path} ${quote content} ${if executable then "0555" else "0444"}";
      source = from: "copy ${quote path} ${quote (sourceOf from)}";
    in
    if isAttrs value && value ? text then text value.text (value.executable or false)
    else if isAttrs value && value ? source then source value.source
    else if isAttrs value && value ? link then "link ${quote path} ${quote value.link}"
    else if isString value && !(options.isStorePath value && builtins.hasContext value) then text value false
    else source value;

  # So that names of users, and mounts of files, have their place.
  standard = {
    "/etc/passwd" = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
    "/etc/group" = "root:x:0:\nnogroup:x:65534:\n";
    "/etc/hosts" = "127.0.0.1 localhost\n::1 localhost\n";
    "/etc/resolv.conf" = "";
  };
in
{
  mkRootfs = arguments:
    let
      given = options.checked check "mkRootfs" arguments;
      name = given.name or "rootfs";
      mountPoints = [ "/dev" "/proc" "/run" "/sys" "/tmp" ] ++ (given.mountPoints or [ ]);
      copy = given.copy or false;
      files = standard // (given.extraFiles or { });

      # First the links: what they lead to is the closure, which Nix finds by looking at them.
      links = build.run {
        name = "${name}-links";
        script = ./rootfs-links.sh;
        environment = {
          packages = map sourceOf (given.packages or [ ]);
          directories = given.directories or [ "bin" "sbin" "etc" "lib" "lib64" "libexec" "share" ];
          ignoreCollisions = if given.ignoreCollisions or false then "1" else "";
        };
        parts.steps = concatStringsSep "\n"
          (map (path: "directory ${quote path}") mountPoints ++ builtins.attrValues (builtins.mapAttrs step files)) + "\n";
      };

      root = build.run {
        inherit name;
        script = ./rootfs.sh;
        outputs = if copy then [ "out" ] else [ "out" "closure" ];
        environment = {
          inherit links;
          copy = if copy then "1" else "";
          exportReferencesGraph = [ "graph" links ];
        };
      };
    in
    # The closure is one more file: its outputs are what a bundle takes.
    root // { nucleusRootfs = { inherit mountPoints copy; }; };
}
