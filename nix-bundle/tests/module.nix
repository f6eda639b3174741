# The module, with what it needs of NixOS: `units` as NixOS would get them, and `failed`, the assertions that do not hold.
{ lib, busybox, nucleus, containers ? { }, topologies ? { } }:
let
  pkgs = import ./pkgs.nix { inherit busybox nucleus; };
  anything = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
  list = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
  service = lib.types.submodule {
    freeformType = lib.types.attrsOf lib.types.anything;
    options.serviceConfig = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
  };
  evaluated = lib.evalModules {
    modules = [
      ../module
      {
        options = {
          assertions = list;
          systemd.services = lib.mkOption { type = lib.types.attrsOf service; default = { }; };
          systemd.targets = anything;
          systemd.tmpfiles.rules = list;
          systemd.package = lib.mkOption { type = lib.types.package; default = pkgs.coreutils; };
          environment.systemPackages = list;
        };
        config._module.args = { inherit pkgs; };
        config.services.nucleus = { package = pkgs.runtime; inherit containers topologies; };
      }
    ];
  };
in
{
  services = evaluated.config.systemd.services;
  targets = evaluated.config.systemd.targets;
  tmpfiles = evaluated.config.systemd.tmpfiles.rules;
  failed = map (each: each.message) (builtins.filter (each: !each.assertion) evaluated.config.assertions);
}
