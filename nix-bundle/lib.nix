# Bundles that Nix builds: a root filesystem, config.json, and all that it pins.
#
#   pkgs      nixpkgs, or anything that has its `system`, `runtimeShell` and `coreutils`
#   nucleus   the package of the runtime: NUCLEUS/bin/nucleus describes root filesystems and checks policies
#
# docs/nix.md has the options of each function.
{ pkgs, nucleus }:
let
  options = import ./lib/options.nix;
  build = import ./lib/build.nix { inherit pkgs; };
  rootfs = import ./lib/rootfs.nix { inherit options build; };
  bundle = import ./lib/bundle.nix { inherit options build nucleus; };
in
{
  inherit (rootfs) mkRootfs;
  mkAgentRootfs = import ./lib/agent.nix { inherit pkgs options; inherit (rootfs) mkRootfs; };
  inherit (bundle) mkBundle;
}
