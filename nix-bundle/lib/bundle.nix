# mkBundle: config.json, its policies and the manifest of its root filesystem, each named by its digest in the one before.
{ options, build, nucleus }:
let
  inherit (builtins) attrNames concatStringsSep filter isAttrs isInt isPath isString mapAttrs substring toJSON;
  inherit (build) quote;
  config = import ./config.nix { inherit options; };

  kinds = { seccomp = "seccomp.json"; capabilities = "capabilities.toml"; landlock = "landlock.toml"; egress = "egress.toml"; };
  modes = [ "agent" "strict-agent" "production" ];
  networks = [ "none" "bridge" "userspace" "oci" "host" ];

  size = options.is "a number of bytes, or one with K, M or G" (value: (isInt value && value > 0) || options.isMatch "[1-9][0-9]*[KMG]?" value);
  capability = options.is "the name of a capability, as CAP_CHOWN" (options.isMatch "CAP_[A-Z_]+");
  id = options.is "an id, 0 to 4294967294" (value: isInt value && value >= 0 && value < 4294967295);
  word = options.is "a text without control characters" (options.isMatch "[^[:cntrl:]]*");
  scalar = options.is "a text or a number" (value: isString value || isInt value || options.isStorePath value || isPath value);

  mapping = options.all [
    (options.record { containerID = id; hostID = id; size = options.positive; })
    (options.required [ "containerID" "hostID" "size" ])
  ];
  mount = options.all [
    (options.record {
      destination = options.absolutePath;
      type = word;
      source = scalar;
      options = options.listOf word;
    })
    (options.required [ "destination" ])
  ];
  rlimit = options.either "a number, or one each as soft and hard" [
    isInt
    (value: isAttrs value && attrNames value == [ "hard" "soft" ] && isInt value.hard && isInt value.soft)
  ];

  check = options.all [
    (options.required [ "rootfs" "process" ])
    (options.record {
      name = options.is "a name: letters, digits, + - . _" (options.isMatch "[0-9A-Za-z+_-][0-9A-Za-z+._-]*");
      rootfs = options.is "what mkRootfs gives" (value: isAttrs value && value ? nucleusRootfs);
      process = options.all [
        (options.record {
          args = options.all [
            (options.listOf scalar)
            (options.is "a list that is not empty" (value: value != [ ]))
          ];
          env = name: value: options.attrsOf scalar name value && builtins.all
            (key: options.isMatch "[^=[:cntrl:]]+" key || options.fail name "\"${key}\" is no name of a variable")
            (attrNames value);
          cwd = options.absolutePath;
          terminal = options.bool;
          capabilities = options.listOf capability;
          rlimits = name: value: options.attrsOf rlimit name value && builtins.all
            (key: options.isMatch "[A-Z]+" key || options.fail "${name}.${key}" "must be a limit's name without RLIMIT_, as NOFILE")
            (attrNames value);
        })
        (options.required [ "args" ])
      ];
      user = options.record {
        uid = id;
        gid = id;
        additionalGids = options.listOf id;
        namespace = options.bool;
        mappings = options.listOf mapping;
      };
      mounts = options.listOf mount;
      limits = options.record {
        memory = size;
        swap = size;
        pids = options.positive;
        cpus = options.is "a number above 0" (value: (isInt value || builtins.isFloat value) && value > 0);
        cpuShares = options.positive;
      };
      network = name: value: if isString value then options.oneOf networks name value else options.all [
        (options.record {
          mode = options.oneOf networks;
          namespace = options.absolutePath;
          publish = options.listOf word;
        })
        (options.required [ "mode" ])
        (options.is "without a namespace, unless mode is \"oci\"" (network: !(network ? namespace) || network.mode == "oci"))
        (options.is "without published ports, unless mode is \"bridge\" or \"userspace\""
          (network: !(network ? publish) || builtins.elem network.mode [ "bridge" "userspace" ]))
      ] name value;
      policies = options.record (mapAttrs (_: _: options.nullOr options.path) kinds);
      mode = options.nullOr (options.oneOf modes);
      runtime = options.oneOf [ "native" "gvisor" ];
      hostname = options.is "a host name" (options.isMatch "[0-9A-Za-z]([0-9A-Za-z.-]{0,62}[0-9A-Za-z])?");
      init = options.bool;
      credentials = options.absolutePath;
      annotations = name: value: options.attrsOf options.string name value && builtins.all
        (key: substring 0 12 key != "dev.nucleus." || options.fail "${name}.\"${key}\"" "has an option of its own, or is written here")
        (attrNames value);
      extraConfig = options.all [
        (options.attrsOf (_: _: true))
        (options.is "without annotations, which have an option of their own" (value: !(value ? annotations)))
      ];
    })
    # What the runtime would refuse in the end.
    (name: value: (value.mode or "production") != "production" || builtins.all
      (limit: value.limits.${limit} or null != null || options.fail "${name}.limits.${limit}" "is missing: production mode needs it")
      [ "memory" "pids" ])
    (name: value: (value.mode or "production") == null || options.is "something other than \"host\": every mode makes a network namespace"
      (network: network != "host" && network != { mode = "host"; }) "${name}.network" (value.network or "none"))
    (name: value: !(builtins.elem (value.mode or "production") [ "strict-agent" "production" ]) || options.is
      "true: the mode needs a user namespace" (own: own) "${name}.user.namespace" (value.user.namespace or true))
  ];

  # A place below another mount is made there; every other has to be in the root filesystem, which is read-only.
  below = path: directory: path == directory || substring 0 (builtins.stringLength directory + 1) path == directory + "/";
  checkPlaces = places: mounts:
    builtins.foldl'
      (before: mount:
        if builtins.any (below mount.destination) (before ++ places) then before ++ [ mount.destination ]
        else options.fail "mkBundle.mounts" "${mount.destination} has no place: give mkRootfs it in mountPoints")
      [ ]
      mounts;
in
{
  mkBundle = arguments:
    let
      given = options.checked check "mkBundle" arguments;
      rootfs = given.rootfs;
      network = let value = given.network or "none"; in if isString value then { mode = value; } else value;
      mounts = map (mount: mount // (if mount ? source then { source = "${toString mount.source}"; } else { }))
        (config.mountsOf (given.mounts or [ ]));
      policies = filter (kind: (given.policies or { }).${kind} or null != null) (attrNames kinds);
      mode = given.mode or "production";

      annotations = (given.annotations or { }) // {
        "dev.nucleus.runtime" = given.runtime or "native";
        "dev.nucleus.network" = if network.mode == "host" then "oci" else network.mode;
      }
      // (if mode == null then { } else { "dev.nucleus.mode" = mode; })
      // (if network.publish or [ ] == [ ] then { } else { "dev.nucleus.network.publish" = concatStringsSep "," network.publish; })
      // (if given ? credentials then { "dev.nucleus.credentials" = given.credentials; } else { })
      // (if given ? init then { "dev.nucleus.init" = if given.init then "on" else "off"; } else { });

      text = toJSON (config.configOf {
        inherit mounts network rootfs;
        process = given.process;
        user = given.user or { };
        limits = given.limits or { };
        hostname = given.hostname or given.name or "nucleus";
        extraConfig = given.extraConfig or { };
      });

      # Both without their closing brace: the pins are added where the files are.
      open = json: substring 0 (builtins.stringLength json - 1) json;
    in
    build.run {
      name = given.name or "bundle";
      script = ./bundle.sh;
      outputs = [ "out" "digest" ];
      environment = {
        inherit rootfs;
        closure = if rootfs.nucleusRootfs.copy then "" else rootfs.closure;
        nucleus = "${nucleus}/bin/nucleus";
        # KIND FILE-NAME SOURCE, in turn.
        policies = builtins.concatMap (kind: [ kind kinds.${kind} "${given.policies.${kind}}" ]) policies;
      };
      parts = {
        config = builtins.deepSeq (checkPlaces rootfs.nucleusRootfs.mountPoints
          (mounts ++ (if given ? credentials then [{ destination = given.credentials; }] else [ ]))) (open text);
        annotations = open (toJSON annotations);
      };
    }
    # What a unit has to know of it.
    // { nucleusBundle = { credentials = given ? credentials; }; };
}
