# mkAgentRootfs: mkRootfs with the tools that an agent works with.
{ pkgs, options, mkRootfs }:
let
  tools = [
    "bashInteractive" "coreutils" "findutils" "diffutils" "gnugrep" "gnused" "gawk" "gnutar" "gzip" "xz" "which" "less"
    "patch" "curl" "cacert" "git" "ripgrep" "jq" "gcc" "binutils" "gnumake" "python3" "nodejs"
  ];
  tool = name: pkgs.${name} or (options.fail "mkAgentRootfs" "pkgs has no ${name}");
in
arguments@{ packages ? [ ], extraFiles ? { }, ... }:
mkRootfs ({ name = "agent-rootfs"; } // arguments // {
  # The first wins: what the caller asks for.
  packages = options.checked (options.listOf options.package) "mkAgentRootfs.packages" packages ++ map tool tools;
  ignoreCollisions = arguments.ignoreCollisions or true;
  extraFiles = {
    "/usr/bin/env" = { link = "${tool "coreutils"}/bin/env"; };
    "/bin/sh" = { link = "${tool "bashInteractive"}/bin/sh"; };
  } // extraFiles;
})
