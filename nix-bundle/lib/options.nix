# Checks of options. A checker is a function of the option's full name and its value, which returns true or throws an
# error that begins with that name.
rec {
  fail = name: message: throw "${name}: ${message}";

  # TEST holds, or the option is not WHAT.
  is = what: test: name: value: if test value then true else fail name "must be ${what}";

  isPath = value: builtins.isPath value || isStorePath value;
  isStorePath = value:
    (builtins.isAttrs value && value ? outPath) || (builtins.isString value && builtins.substring 0 1 value == "/");
  isMatch = pattern: value: builtins.isString value && builtins.match pattern value != null;

  string = is "a string" builtins.isString;
  bool = is "true or false" builtins.isBool;
  # Large enough for every count of bytes that the kernel knows.
  natural = is "a whole number, 0 or more" (value: builtins.isInt value && value >= 0);
  positive = is "a whole number, 1 or more" (value: builtins.isInt value && value > 0);
  path = is "a path, or a package" isPath;
  package = is "a package, or the path of one" isPath;
  absolutePath = is "an absolute path without \"..\"" (value:
    isMatch "(/[^/]+)+/?|/" value && !(isMatch ".*/\\.\\./.*" (value + "/")));
  oneOf = words: is ("one of " + builtins.concatStringsSep ", " words)
    (value: builtins.isString value && builtins.elem value words);

  nullOr = checker: name: value: value == null || checker name value;
  # WHAT says both in an error.
  either = what: tests: is what (value: builtins.any (test: test value) tests);

  listOf = checker: name: value:
    if !builtins.isList value then fail name "must be a list"
    else builtins.all (index: checker "${name}[${toString index}]" (builtins.elemAt value index))
      (builtins.genList (index: index) (builtins.length value));

  # Any names.
  attrsOf = checker: name: value:
    if !(builtins.isAttrs value) then fail name "must be an attribute set"
    else builtins.all (key: checker "${name}.${key}" value.${key}) (builtins.attrNames value);

  # These names and no others.
  record = checkers: name: value:
    if !(builtins.isAttrs value) then fail name "must be an attribute set"
    else builtins.all
      (key:
        if checkers ? ${key} then checkers.${key} "${name}.${key}" value.${key}
        else fail "${name}.${key}" "unknown option; there are ${builtins.concatStringsSep ", " (builtins.attrNames checkers)}")
      (builtins.attrNames value);

  required = keys: name: value:
    builtins.all (key: value ? ${key} || fail "${name}.${key}" "is missing") keys;

  all = checkers: name: value: builtins.all (checker: checker name value) checkers;

  # VALUE, once it has been checked.
  checked = checker: name: value: if checker name value then value else fail name "is wrong";
}
