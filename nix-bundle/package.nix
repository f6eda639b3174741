# nucleus as its CMake builds it for a release: one static executable, and three helpers that are linked dynamically. For
# callPackage of nixpkgs.
{ lib, stdenv, stdenvAdapters, cmake, ninja, pkg-config, gzip, glibc, yajl, libseccomp, libcap, openssl, tomlplusplus, cli11
, systemdLibs, curl, libmnl, libnftnl, ldns, source ? lib.cleanSource ../. }:
let
  # The archives that the executable is made of. nixpkgs builds most libraries as shared ones alone.
  static = package: package.override { stdenv = stdenvAdapters.makeStaticLibraries stdenv; };
in
stdenv.mkDerivation {
  pname = "nucleus";
  version = "0.1.0";
  src = source;

  nativeBuildInputs = [ cmake ninja pkg-config gzip ];
  buildInputs = [ glibc.static tomlplusplus cli11 systemdLibs curl libmnl ]
    ++ map static [ yajl libseccomp libcap openssl libnftnl ldns ];

  cmakeBuildType = "Release";
  cmakeFlags = [ "-DNUCLEUS_TESTS=OFF" ];

  meta = {
    description = "Security-hardened OCI container runtime";
    platforms = [ "x86_64-linux" "aarch64-linux" ];
    mainProgram = "nucleus";
  };
}
