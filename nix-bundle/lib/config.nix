# config.json without its annotations, from the options of mkBundle. They have been checked.
{ options }:
let
  inherit (builtins) attrNames filter isAttrs isInt listToAttrs map mapAttrs;

  # Bytes of "256M".
  units = { "" = 1; K = 1024; M = 1024 * 1024; G = 1024 * 1024 * 1024; };
  bytes = value:
    if isInt value then value
    else
      let parts = builtins.match "([0-9]+)([KMG]?)" value;
      in builtins.fromJSON (builtins.elemAt parts 0) * units.${builtins.elemAt parts 1};

  # Sets are joined, everything else is replaced.
  update = base: more: base // mapAttrs (name: value: if isAttrs value && isAttrs (base.${name} or null) then update base.${name} value else value) more;

  without = value: listToAttrs (map (name: { inherit name; value = value.${name}; }) (filter (name: value.${name} != null) (attrNames value)));

  standardMounts = [
    { destination = "/proc"; type = "proc"; source = "proc"; options = [ "nosuid" "noexec" "nodev" ]; }
    { destination = "/dev"; type = "tmpfs"; source = "tmpfs"; options = [ "nosuid" "noexec" "strictatime" "mode=755" "size=65536k" ]; }
    { destination = "/dev/pts"; type = "devpts"; source = "devpts"; options = [ "nosuid" "noexec" "newinstance" "ptmxmode=0666" "mode=0620" ]; }
    { destination = "/dev/shm"; type = "tmpfs"; source = "shm"; options = [ "nosuid" "noexec" "nodev" "mode=1777" "size=65536k" ]; }
    { destination = "/dev/mqueue"; type = "mqueue"; source = "mqueue"; options = [ "nosuid" "noexec" "nodev" ]; }
    { destination = "/run"; type = "tmpfs"; source = "tmpfs"; options = [ "nosuid" "nodev" "noexec" "mode=755" "size=65536k" ]; }
    { destination = "/tmp"; type = "tmpfs"; source = "tmpfs"; options = [ "nosuid" "nodev" "noexec" "mode=1777" ]; }
  ];
in
{
  inherit bytes;

  # One given for the same place takes that one's.
  mountsOf = given:
    filter (mount: !(builtins.elem mount.destination (map (other: other.destination) given))) standardMounts ++ given;

  configOf = { process, user, mounts, limits, network, hostname, rootfs, extraConfig }:
    let
      capabilities = process.capabilities or [ ];
      ids = user.mappings or [{ containerID = 0; hostID = 100000; size = 65536; }];
      own = user.namespace or true;
      networkNamespace = if network ? namespace then [{ type = "network"; path = network.namespace; }]
        else if network.mode == "host" then [ ] else [{ type = "network"; }];
    in
    update
      {
        ociVersion = "1.2.0";
        process = {
          terminal = process.terminal or false;
          user = without {
            uid = user.uid or 0;
            gid = user.gid or 0;
            additionalGids = user.additionalGids or null;
          };
          args = map toString process.args;
          env = builtins.attrValues (mapAttrs (name: value: "${name}=${toString value}")
            ({ PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; } // (process.env or { })));
          cwd = process.cwd or "/";
          noNewPrivileges = true;
          capabilities = listToAttrs (map (name: { inherit name; value = capabilities; })
            ([ "bounding" "effective" "permitted" ] ++ (if (user.uid or 0) == 0 then [ ] else [ "inheritable" "ambient" ])));
          rlimits = builtins.attrValues (mapAttrs
            (name: value: {
              type = "RLIMIT_${name}";
              soft = if isInt value then value else value.soft;
              hard = if isInt value then value else value.hard;
            })
            (process.rlimits or { }));
        };
        root = { path = "${rootfs}"; readonly = true; };
        inherit hostname mounts;
        linux = {
          namespaces = map (type: { inherit type; }) [ "pid" "ipc" "uts" "mount" "cgroup" ]
            ++ networkNamespace ++ (if own then [{ type = "user"; }] else [ ]);
          maskedPaths = [ "/proc/acpi" "/proc/kcore" "/proc/keys" "/proc/timer_list" "/proc/sched_debug" "/sys/firmware" ];
          readonlyPaths = [ "/proc/bus" "/proc/fs" "/proc/irq" "/proc/sys" "/proc/sysrq-trigger" ];
          resources = {
            devices = [{ allow = false; access = "rwm"; }];
          } // without {
            memory = if limits ? memory then without { limit = bytes limits.memory; swap = if limits ? swap then bytes limits.swap else null; } else null;
            pids = if limits ? pids then { limit = limits.pids; } else null;
            cpu = if limits ? cpus || limits ? cpuShares then without {
              period = if limits ? cpus then 100000 else null;
              quota = if limits ? cpus then builtins.floor (limits.cpus * 100000) else null;
              shares = limits.cpuShares or null;
            } else null;
          };
        } // (if own then { uidMappings = ids; gidMappings = ids; } else { });
      }
      extraConfig;
}
