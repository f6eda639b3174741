{
  description = "nucleus: a security-hardened OCI container runtime, and bundles for it that Nix builds";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      # MAKE gets nixpkgs' packages, the runtime and the functions of lib.nix, for each system.
      each = make: nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: make rec {
        pkgs = nixpkgs.legacyPackages.${system};
        nucleus = pkgs.callPackage ./nix-bundle/package.nix { };
        bundles = import ./nix-bundle/lib.nix { inherit pkgs nucleus; };
        options = pkgs.writeText "nix-options.md" (import ./nix-bundle/module/docs.nix { inherit (nixpkgs) lib; });
      });
    in
    {
      packages = each ({ nucleus, options, ... }: { inherit nucleus options; default = nucleus; });

      # mkRootfs, mkAgentRootfs, mkBundle: docs/nix.md.
      lib = each ({ bundles, ... }: bundles);

      overlays.default = final: _: {
        nucleus = final.callPackage ./nix-bundle/package.nix { };
        nucleusLib = import ./nix-bundle/lib.nix { pkgs = final; inherit (final) nucleus; };
      };

      nixosModules.default = { pkgs, ... }: {
        imports = [ ./nix-bundle/module ];
        services.nucleus.package = nixpkgs.lib.mkDefault self.packages.${pkgs.system}.default;
      };

      checks = each ({ pkgs, nucleus, bundles, options }: {
        inherit nucleus;
        # From packages of nixpkgs, a library and its loader among them.
        bundle = bundles.mkBundle {
          rootfs = bundles.mkRootfs { packages = [ pkgs.hello ]; };
          process.args = [ "/bin/hello" ];
          limits = { memory = "64M"; pids = 16; };
        };
        # The page is made of the options as they are.
        options = derivation {
          name = "options-page";
          inherit (pkgs) system;
          builder = pkgs.runtimeShell;
          args = [ "-c" "${pkgs.diffutils}/bin/diff -u ${./docs/nix-options.md} ${options} && echo >$out" ];
        };
      });

      devShells = each ({ pkgs, nucleus, ... }: {
        default = pkgs.mkShell {
          inputsFrom = [ nucleus ];
          packages = [ pkgs.clang-tools pkgs.ccache pkgs.boost pkgs.python3 pkgs.jq pkgs.nftables pkgs.strace ];
        };
      });
    };
}
