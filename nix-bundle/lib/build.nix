# Derivations of a shell script and its environment, without anything of nixpkgs' standard environment.
{ pkgs }:
rec {
  # A word of a shell script.
  quote = text: "'" + builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text) + "'";

  # SCRIPT is a file. PARTS are texts of any length: each is a file, its name in the variable PART + "Path".
  run = { name, script, outputs ? [ "out" ], environment ? { }, parts ? { } }:
    derivation (environment // parts // {
      inherit name outputs;
      system = pkgs.system;
      builder = pkgs.runtimeShell;
      args = [ script ];
      PATH = "${pkgs.coreutils}/bin";
      passAsFile = builtins.attrNames parts;
      preferLocalBuild = true;
      allowSubstitutes = false;
    });
}
