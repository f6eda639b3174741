# The options of one container. Names that config.json has are spelled as there.
{ lib, ... }:
let
  inherit (lib) mkOption types literalExpression;

  id = types.ints.between 0 4294967294;

  volume = types.submodule {
    options = {
      source = mkOption {
        type = types.path;
        example = "/var/lib/web";
        description = "Directory or file on the host.";
      };
      readOnly = mkOption {
        type = types.bool;
        default = true;
        description = "Whether the container can only read it. One that it can write to is mounted noexec.";
      };
      create = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the directory is made, with `user`, `group` and `mode`, before the container starts.";
      };
      user = mkOption {
        type = types.either types.str id;
        default = 100000;
        description = "Owner on the host: by default the container's root, as `user.mappings` has it by default.";
      };
      group = mkOption {
        type = types.either types.str id;
        default = 100000;
        description = "Group on the host.";
      };
      mode = mkOption {
        type = types.strMatching "0?[0-7]{3,4}";
        default = "0750";
        description = "Mode of the directory.";
      };
    };
  };
in
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the container has a unit.";
    };

    bundle = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = literalExpression "nucleusLib.mkBundle { … }";
      description = "What mkBundle gives. In its place the bundle can be described by the options below, from `rootfs` on.";
    };
    configDigest = mkOption {
      type = types.nullOr (types.strMatching "sha256:[0-9a-f]{64}");
      default = null;
      example = "sha256:3f2c…";
      description = ''
        What `config.json` of the bundle must have: that which was reviewed. By default it is the digest that the bundle was
        built with.
      '';
    };

    rootfs = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = literalExpression "nucleusLib.mkRootfs { packages = [ pkgs.nginx ]; }";
      description = "What mkRootfs or mkAgentRootfs gives.";
    };
    process = mkOption {
      type = types.submodule {
        options = {
          args = mkOption {
            type = types.listOf (types.either types.str types.path);
            example = [ "/bin/nginx" "-g" "daemon off;" ];
            description = "The program and its arguments.";
          };
          cwd = mkOption {
            type = types.str;
            default = "/";
            description = "Working directory.";
          };
          capabilities = mkOption {
            type = types.listOf (types.strMatching "CAP_[A-Z_]+");
            default = [ ];
            description = "Capabilities. A mode keeps only what a policy of capabilities keeps as well.";
          };
          rlimits = mkOption {
            type = types.attrsOf types.ints.unsigned;
            default = { };
            example = { NOFILE = 4096; };
            description = "Limits, by their names without `RLIMIT_`.";
          };
        };
      };
      default = { args = [ ]; };
      description = "The container's process.";
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "Variables of the process. They are in the store for all to read: what is secret belongs into `secrets`.";
    };
    user = mkOption {
      type = types.submodule {
        options = {
          uid = mkOption { type = id; default = 0; description = "User in the container."; };
          gid = mkOption { type = id; default = 0; description = "Group in the container."; };
          mappings = mkOption {
            type = types.listOf (types.attrsOf types.ints.unsigned);
            default = [{ containerID = 0; hostID = 100000; size = 65536; }];
            description = "Which ids of the host those of the container are.";
          };
        };
      };
      default = { };
      description = "Who the process is.";
    };
    limits = mkOption {
      type = types.attrsOf (types.oneOf [ types.ints.positive types.str types.float ]);
      default = { };
      example = { memory = "256M"; pids = 100; cpus = 0.5; };
      description = "memory, swap, pids, cpus, cpuShares, as mkBundle has them. Production mode needs the first and the third.";
    };
    network = mkOption {
      type = types.enum [ "none" "bridge" "userspace" "oci" ];
      default = "none";
      description = "What nucleus makes of the network.";
    };
    ports = mkOption {
      type = types.listOf (types.strMatching "[0-9.:\\[\\]a-f]*[0-9]+:[0-9]+/(tcp|udp)");
      default = [ ];
      example = [ "8080:80/tcp" ];
      description = "Published ports, as `dev.nucleus.network.publish` has them. They take `network` bridge or userspace.";
    };
    policies = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = literalExpression "{ seccomp = ./seccomp.json; }";
      description = "Policies: seccomp, capabilities, landlock, egress.";
    };
    egress = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "The policy of what may be connected to; short for `policies.egress`. Without one nothing leaves.";
    };
    mode = mkOption {
      type = types.enum [ "agent" "strict-agent" "production" ];
      default = "production";
      description = "See docs/modes.md.";
    };
    runtime = mkOption {
      type = types.enum [ "native" "gvisor" ];
      default = "native";
      description = "What runs the container.";
    };
    volumes = mkOption {
      type = types.attrsOf volume;
      default = { };
      example = { "/data" = { source = "/var/lib/web"; readOnly = false; create = true; }; };
      description = "Directories and files of the host, by their place in the container. A root of mkRootfs needs it in mountPoints.";
    };
    mounts = mkOption {
      type = types.listOf (types.attrsOf types.anything);
      default = [ ];
      description = "Further mounts, as config.json has them.";
    };

    secrets = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = { token = "/var/lib/secrets/token"; };
      description = ''
        Files of the host (or names of sockets and credentials, as LoadCredential= takes them) that the process finds below
        `/run/credentials` in memory, and nobody else does. Never in the store.
      '';
    };
    encryptedSecrets = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "The same for credentials of systemd-creds(1) (LoadCredentialEncrypted=).";
    };
    health = {
      command = mkOption {
        type = types.nullOr (types.listOf types.str);
        default = null;
        example = [ "/bin/curl" "-sf" "http://127.0.0.1/" ];
        description = ''
          Run in the container again and again: the unit is up once it has succeeded, and is restarted when it has failed as
          often as `retries` says.
        '';
      };
      interval = mkOption { type = types.ints.positive; default = 30; description = "Seconds from one run to the next."; };
      timeout = mkOption { type = types.ints.positive; default = 10; description = "Seconds that a run may take."; };
      retries = mkOption { type = types.ints.positive; default = 3; description = "Failures in a row."; };
    };

    notify = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the process says READY=1 (sd_notify(3)): the unit is up only then.";
    };
    restart = mkOption {
      type = types.enum [ "no" "on-failure" "on-abnormal" "always" ];
      default = "on-failure";
      description = "When systemd starts it again.";
    };
    restartSec = mkOption { type = types.ints.unsigned; default = 1; description = "Seconds before that."; };
    stopTimeout = mkOption {
      type = types.ints.positive;
      default = 30;
      description = "Seconds from SIGTERM to SIGKILL.";
    };
    after = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Containers of nucleus that have to be up before this one is started, and that it cannot do without.";
    };
    wantedBy = mkOption {
      type = types.listOf types.str;
      default = [ "multi-user.target" ];
      description = "Targets that start it.";
    };
    hardening = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the unit of the runtime itself is confined as far as a runtime can be.";
    };
    serviceConfig = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "More for the unit's [Service]; it wins over what is written here.";
    };
  };
}
