# The links of a root filesystem, its own files, and the places of its mounts.
set -eu
umask 022

fail() {
  echo "mkRootfs: $*" >&2
  exit 1
}

# Makes the directory that PATH is in. What a package has linked there is the package's.
place() {
  parent=${1%/*}
  mkdir -p "$out$parent" || fail "$1: cannot be made: what is there comes from a package"
  rm -f "$out$1" || fail "$1: cannot be made: what is there comes from a package"
}

directory() { mkdir -p "$out$1"; }
text() { place "$1"; printf '%s' "$2" >"$out$1"; chmod "$3" "$out$1"; }
link() { place "$1"; ln -s "$2" "$out$1"; }
copy() { place "$1"; cp -dR "$2" "$out$1"; }

# merge FROM TO: directories are made, all else is linked to. A subshell each, for the variables.
merge() {
  mkdir -p "$2" || fail "$2: a directory in $1, and a file of another package"
  for entry in "$1"/* "$1"/.[!.]*; do
    [ -e "$entry" ] || [ -L "$entry" ] || continue
    target=$2/${entry##*/}
    if [ -d "$entry" ] && [ ! -L "$entry" ]; then
      (merge "$entry" "$target")
    elif [ ! -e "$target" ] && [ ! -L "$target" ]; then
      ln -s "$entry" "$target"
    elif [ -z "$ignoreCollisions" ] && [ "$(readlink "$target" || true)" != "$entry" ]; then
      fail "${target#"$out"} is in two packages: $entry and $(readlink "$target"); ignoreCollisions = true takes the first"
    fi
  done
}

mkdir "$out"
for package in $packages; do
  for name in $directories; do
    if [ -d "$package/$name" ]; then
      merge "$package/$name" "$out/$name"
    fi
  done
done
# shellcheck disable=SC1090  # made by rootfs.nix
. "$stepsPath"
