# services.nucleus: containers as units of systemd. docs/nix.md; the options are in docs/nix-options.md.
{ config, lib, pkgs, ... }:
let
  inherit (lib) filterAttrs literalExpression mapAttrs mapAttrs' mapAttrsToList mkIf mkMerge mkOption nameValuePair types;
  cfg = config.services.nucleus;
  container = types.submodule ./options.nix;

  credentialsPlace = "/run/credentials";

  # From its parts, where it is not given whole.
  bundleOf = name: container:
    if container.bundle != null then container.bundle
    else
      (import ../lib.nix { inherit pkgs; nucleus = cfg.package; }).mkBundle ({
        inherit name;
        inherit (container) rootfs user limits mode runtime;
        process = container.process // { env = container.environment; };
        network = if container.ports == [ ] then container.network else { mode = container.network; publish = container.ports; };
        policies = container.policies // lib.optionalAttrs (container.egress != null) { inherit (container) egress; };
        mounts = container.mounts ++ mapAttrsToList
          (destination: volume: {
            inherit destination;
            type = "bind";
            source = toString volume.source;
            options = [ "bind" "nosuid" "nodev" ] ++ (if volume.readOnly then [ "ro" ] else [ "rw" "noexec" ]);
          })
          container.volumes;
      } // lib.optionalAttrs (container.secrets // container.encryptedSecrets != { }) { credentials = credentialsPlace; });

  unitsOf = import ./unit.nix {
    inherit lib cfg bundleOf;
    shell = pkgs.runtimeShell;
    tools = lib.makeBinPath [ pkgs.coreutils config.systemd.package ];
  };

  # Each container of a topology is one of its own, with the topology's name before its own.
  ofTopologies = lib.foldl' (all: each: all // each) { } (mapAttrsToList
    (topology: { containers, ... }: mapAttrs'
      (name: container: nameValuePair "${topology}-${name}" (container // {
        after = map (other: "${topology}-${other}") container.after;
        wantedBy = [ "nucleus-${topology}.target" ];
        partOf = [ "nucleus-${topology}.target" ];
      }))
      containers)
    cfg.topologies);
  all = filterAttrs (_: container: container.enable) (cfg.containers // ofTopologies);
  units = mapAttrs unitsOf all;

  name = "[0-9A-Za-z][0-9A-Za-z_.-]*";
  assertionsOf = name': container: [
    {
      assertion = (container.bundle == null) != (container.rootfs == null);
      message = "services.nucleus: container ${name'}: either bundle or rootfs must be given";
    }
    {
      assertion = container.bundle == null || container.secrets // container.encryptedSecrets == { } || container.bundle.nucleusBundle.credentials;
      message = "services.nucleus: container ${name'}: it has secrets, and its bundle was built without credentials";
    }
    {
      assertion = container.bundle == null
        || (container.environment == { } && container.volumes == { } && container.mounts == [ ] && container.ports == [ ]
        && container.policies == { } && container.egress == null && container.limits == { });
      message = "services.nucleus: container ${name'}: environment, volumes, mounts, ports, policies, egress and limits are the bundle's";
    }
    {
      assertion = builtins.match name name' != null;
      message = "services.nucleus: \"${name'}\" is no name of a container";
    }
    {
      assertion = lib.all (other: all ? ${other}) container.after;
      message = "services.nucleus: container ${name'}: after names one that is not there: ${toString container.after}";
    }
    {
      assertion = container.health.command != [ ];
      message = "services.nucleus: container ${name'}: health.command is empty";
    }
  ];
in
{
  options.services.nucleus = {
    package = mkOption {
      type = types.package;
      description = "The runtime. The flake's module sets it.";
    };
    containers = mkOption {
      type = types.attrsOf container;
      default = { };
      example = literalExpression ''
        {
          web = {
            rootfs = nucleusLib.mkRootfs { packages = [ pkgs.nginx ]; mountPoints = [ "/data" ]; };
            process.args = [ "/bin/nginx" "-g" "daemon off;" ];
            limits = { memory = "256M"; pids = 64; };
            network = "bridge";
            ports = [ "8080:80/tcp" ];
            volumes."/data".source = "/var/lib/web";
          };
        }
      '';
      description = "Containers, each the unit `nucleus-NAME.service`.";
    };
    topologies = mkOption {
      type = types.attrsOf (types.submodule {
        options = {
          containers = mkOption {
            type = types.attrsOf container;
            default = { };
            description = "Its containers; `after` names others of the same topology.";
          };
          wantedBy = mkOption {
            type = types.listOf types.str;
            default = [ "multi-user.target" ];
            description = "Targets that start all of it.";
          };
        };
      });
      default = { };
      description = ''
        Containers that belong together: `nucleus-TOPOLOGY-NAME.service` each, and `nucleus-TOPOLOGY.target`, which starts and
        stops all of them (in place of their own `wantedBy`). One waits for those that its `after` names to be up: with `notify` until they say so, with `health.command` until that
        succeeds.
      '';
    };
  };

  config = mkIf (all != { }) {
    assertions = lib.concatLists (mapAttrsToList assertionsOf all);
    systemd.services = mkMerge (mapAttrsToList (_: unit: unit.services) units);
    systemd.targets = mapAttrs'
      (topology: { wantedBy, ... }: nameValuePair "nucleus-${topology}" {
        description = "Containers of ${topology}";
        inherit wantedBy;
      })
      cfg.topologies;
    systemd.tmpfiles.rules = lib.concatLists (mapAttrsToList (_: unit: unit.tmpfiles) units);
    environment.systemPackages = [ cfg.package ];
  };
}
