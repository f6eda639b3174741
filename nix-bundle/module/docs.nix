# docs/nix-options.md, from the options themselves. `lib` is nixpkgs'.
{ lib }:
let
  evaluated = lib.evalModules {
    modules = [ ./default.nix { config._module.check = false; } ];
    specialArgs.pkgs = throw "the options do not depend on pkgs";
  };
  visible = builtins.filter (option: option.visible && !option.internal && lib.hasPrefix "services.nucleus." option.name)
    (lib.optionAttrSetToDocList evaluated.options);

  # A value that is not a literal text is a Nix value.
  textOf = value: if value ? _type then value.text else lib.generators.toPretty { } value;
  code = value: let text = lib.trim (textOf value); in
    if lib.hasInfix "\n" text then "\n\n      ${lib.replaceStrings [ "\n" ] [ "\n      " ] text}\n" else " `${text}`";
  section = option:
    let topologies = lib.hasPrefix "services.nucleus.topologies.<name>.containers.<name>" option.name; in
    lib.optionalString (!topologies) ''

      ## `${option.name}`

      ${lib.trim (if builtins.isAttrs (option.description or "") then option.description.text else option.description or "")}

      - Type: ${option.type}
    '' + lib.optionalString (!topologies && option ? default) "- Default:${code option.default}\n"
    + lib.optionalString (!topologies && option ? example) "- Example:${code option.example}\n";
in
''
  # Options of the NixOS module

  Made of `nix-bundle/module/options.nix`; [nix.md](nix.md) says what they are for. The containers of a topology have the
  options of `services.nucleus.containers.<name>`.
'' + lib.concatMapStrings section visible
