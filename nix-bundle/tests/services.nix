# What tests/test_nix.py compares with tests/units: one container of its parts with all that a unit can have, one of a bundle, and
# a topology.
{ lib, busybox, nucleus }:
let
  bundles = import ./bundles.nix { inherit busybox nucleus; };
in
import ./module.nix {
  inherit lib busybox nucleus;
  containers = {
    web = {
      rootfs = bundles.linked;
      process.args = [ "/bin/sh" "-c" "cat /run/credentials/token; echo $COLOUR; exec sleep 1000" ];
      environment.COLOUR = "blue";
      limits = { memory = "64M"; pids = 20; cpus = 0.5; };
      secrets.token = "/var/lib/secrets/token";
      encryptedSecrets.key = "/var/lib/secrets/key.cred";
      volumes."/data" = { source = "/var/lib/web"; readOnly = false; create = true; };
      policies.seccomp = ../../policies/builtin/agent-seccomp.json;
      notify = true;
      restart = "always";
      stopTimeout = 5;
      after = [ "db" ];
      health = { command = [ "/bin/sh" "-c" "test \"$COLOUR\" = 100%" ]; interval = 5; };
      serviceConfig.Nice = 5;
    };
    db = {
      bundle = bundles.copiedBundle;
      configDigest = "sha256:${builtins.concatStringsSep "" (builtins.genList (_: "0") 64)}";
      hardening = false;
    };
  };
  topologies.app.containers = {
    front = { bundle = bundles.copiedBundle; after = [ "back" ]; };
    back.bundle = bundles.copiedBundle;
  };
}
