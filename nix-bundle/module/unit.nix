# The units of one container: { services, tmpfiles }.
{ lib, cfg, shell, tools, bundleOf }:
name: container:
let
  inherit (lib) filterAttrs mapAttrsToList mkDefault mkMerge optionalAttrs;

  # A word of ExecStart=, in which neither specifiers nor variables are meant.
  quote = word: "\"" + lib.replaceStrings [ "\\" "\"" "%" "$" ] [ "\\\\" "\\\"" "%%" "$$" ] (toString word) + "\"";
  quoted = words: lib.concatMapStringsSep " " quote words;

  unit = "nucleus-${name}";
  bundle = bundleOf name container;
  nucleus = "${cfg.package}/bin/nucleus --root /run/nucleus --systemd-cgroup";
  others = map (other: "nucleus-${other}.service") container.after;
  credentials = mapAttrsToList (key: source: "${key}:${source}");

  health = container.health;
  checkHealth = what: "${shell} ${./health.sh} ${what} ${tools} ${cfg.package}/bin/nucleus ${unit} "
    + "${toString health.interval} ${toString health.timeout} ${toString health.retries} ${quoted health.command}";

  log = {
    StandardOutput = "journal";
    StandardError = "journal";
    SyslogIdentifier = name;
  };

  # What a runtime does not need itself, and a container inherits without harm. What changes the mounts of /proc (as
  # ProtectKernelLogs=) would forbid a procfs in a user namespace, and ProtectHostname= the container's name.
  hardening = {
    CapabilityBoundingSet = mkDefault "~CAP_SYS_BOOT CAP_SYS_TIME CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND";
    ProtectKernelModules = mkDefault true;
    LockPersonality = mkDefault true;
    RestrictRealtime = mkDefault true;
    SystemCallArchitectures = mkDefault "native";
    KeyringMode = mkDefault "private";
    UMask = mkDefault "0077";
  };
in
{
  services = {
    ${unit} = {
      description = "Container ${name}";
      wantedBy = container.wantedBy;
      after = [ "network.target" ] ++ others;
      requires = others;
      partOf = container.partOf or [ ];
      unitConfig.RequiresMountsFor = mapAttrsToList (_: volume: toString volume.source) container.volumes;
      serviceConfig = mkMerge [
        log
        {
          Type = if container.notify then "notify" else "exec";
          # What a runtime that was killed has left; nothing else has this name.
          ExecStartPre = "${nucleus} delete --force ${unit}";
          ExecStart = "${nucleus} run --bundle ${bundle} --config-digest \${NUCLEUS_CONFIG_DIGEST} ${unit}";
          ExecStopPost = "${nucleus} delete --force ${unit}";
          KillMode = "mixed";
          TimeoutStopSec = container.stopTimeout;
          Restart = container.restart;
          RestartSec = container.restartSec;
        }
        (if container.configDigest != null
        then { Environment = [ "NUCLEUS_CONFIG_DIGEST=${container.configDigest}" ]; }
        else { EnvironmentFile = "${bundle.digest}"; })
        (optionalAttrs (health.command != null) { ExecStartPost = checkHealth "wait"; })
        (optionalAttrs (container.secrets != { }) { LoadCredential = credentials container.secrets; })
        (optionalAttrs (container.encryptedSecrets != { }) { LoadCredentialEncrypted = credentials container.encryptedSecrets; })
        (optionalAttrs container.hardening hardening)
        container.serviceConfig
      ];
    };
  } // optionalAttrs (health.command != null) {
    "${unit}-health" = {
      description = "Health of container ${name}";
      wantedBy = [ "${unit}.service" ];
      bindsTo = [ "${unit}.service" ];
      after = [ "${unit}.service" ];
      serviceConfig = log // {
        Type = "exec";
        ExecStart = checkHealth "watch";
      };
    };
  };

  tmpfiles = mapAttrsToList
    (_: volume: "d ${volume.source} ${volume.mode} ${toString volume.user} ${toString volume.group} -")
    (filterAttrs (_: volume: volume.create) container.volumes);
}
