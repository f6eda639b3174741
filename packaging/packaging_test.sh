#!/usr/bin/env bash
# The test "packaging": installs the release build into an empty root, makes the Debian package of it, and looks at what
# is in both. RELEASE_BUILD names the build directory (default: the release preset's, which is brought up to date).
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
build=${RELEASE_BUILD:-$project/build/release}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/nucleus-packaging.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "packaging: $*" >&2
  exit 1
}

cd "$project"
mkdir -p "$build"
# One at a time: quickstart.sh may be building there too.
exec 9>"$build/.packaging-lock"
flock 9
cmake --preset release -B "$build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "configuring failed"; }
cmake --build "$build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "building failed"; }

expected=(
  usr/bin/nucleus
  usr/libexec/nucleus/nucleus-systemd
  usr/libexec/nucleus/nucleus-net
  usr/libexec/nucleus/nucleus-otel
  usr/libexec/nucleus/nucleus-front
  usr/libexec/nucleus/nucleus-gvisor
  usr/share/man/man8/nucleus.8.gz
  usr/share/bash-completion/completions/nucleus
  usr/share/zsh/vendor-completions/_nucleus
  usr/share/fish/vendor_completions.d/nucleus.fish
  usr/share/doc/nucleus/README.md
  usr/share/doc/nucleus/copyright
  usr/share/doc/nucleus/annotations.md
  usr/share/doc/nucleus/architecture.md
  usr/share/doc/nucleus/attestation.md
  usr/share/doc/nucleus/compose.md
  usr/share/doc/nucleus/conformance.md
  usr/share/doc/nucleus/evidence.md
  usr/share/doc/nucleus/gate.md
  usr/share/doc/nucleus/gvisor.md
  usr/share/doc/nucleus/learning.md
  usr/share/doc/nucleus/modes.md
  usr/share/doc/nucleus/egress.md
  usr/share/doc/nucleus/gate.md
  usr/share/doc/nucleus/network.md
  usr/share/doc/nucleus/nix.md
  usr/share/doc/nucleus/nix-options.md
  usr/share/doc/nucleus/operations.md
  usr/share/doc/nucleus/policies.md
  usr/share/doc/nucleus/sandbox.md
  usr/share/doc/nucleus/telemetry.md
  usr/share/doc/nucleus/threat-model.md
  usr/share/doc/nucleus/verification.md
  usr/share/nucleus/policies/examples/landlock.toml
  usr/share/nucleus/policies/schema/landlock.schema.json
  usr/share/nucleus/compose/topology.schema.json
)
# Built-in policies ship once there are any.
for policy in policies/builtin/*; do
  [[ -e $policy ]] && expected+=("usr/share/nucleus/$policy")
done

check_tree() {  # DIRECTORY
  local file
  for file in "${expected[@]}"; do
    [[ -f $1/$file ]] || fail "$1 has no /$file"
  done
  local version
  version=$("$1/usr/bin/nucleus" --version) || fail "nucleus --version of $1 exits with $?"
  [[ $version == "nucleus version "* ]] || fail "unexpected first line of --version: $version"
  gzip -dc "$1/usr/share/man/man8/nucleus.8.gz" | cmp -s - docs/man/nucleus.8 || fail "not our man page in $1"
}

DESTDIR=$scratch/root cmake --install "$build" --prefix /usr >"$scratch/log" || fail "cmake --install failed"
# Each knows the others where they are: at the first configuration too, of which the cache knows nothing yet.
cmake --preset release -B "$scratch/fresh" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "configuring anew failed"; }
grep -q '/usr/libexec/nucleus/nucleus-net' "$scratch/fresh/build.ninja" || fail "a first configuration does not know /usr/libexec"
! grep -q '/usr/local' "$scratch/fresh/build.ninja" || fail "a first configuration looks for programs in /usr/local"
for helper in systemd net otel front gvisor; do
  grep -aq "/usr/libexec/nucleus/nucleus-$helper" "$scratch/root/usr/bin/nucleus" || fail "nucleus does not know nucleus-$helper"
done
grep -aqx '.*/usr/bin/nucleus.*' "$scratch/root/usr/libexec/nucleus/nucleus-front" || fail "nucleus-front does not know nucleus"
check_tree "$scratch/root"

(cd "$build" && cpack -B "$scratch/deb" >"$scratch/log" 2>&1) || { cat "$scratch/log"; fail "cpack failed"; }
debs=("$scratch"/deb/*.deb)
[[ ${#debs[@]} == 1 && -f ${debs[0]} ]] || fail "cpack made ${#debs[@]} packages"
deb=${debs[0]}

# Exactly what was installed, and nothing of the build.
dpkg-deb -c "$deb" | awk '$1 !~ /^d/ { sub(/^\.\//, "", $6); print $6 }' | sort >"$scratch/packed"
(cd "$scratch/root" && find . ! -type d | sed 's|^\./||' | sort) >"$scratch/installed"
diff "$scratch/installed" "$scratch/packed" || fail "the package and cmake --install differ"
dpkg-deb -c "$deb" | awk '$2 != "root/root" || $1 ~ /^..(...)?....w/ { print; bad = 1 } END { exit bad }' ||
  fail "a file of the package is not root's or is writable by others"

# A static executable: it needs no package.
depends=$(dpkg-deb -f "$deb" Depends)
[[ -z $depends ]] || fail "unexpected dependencies: $depends"

dpkg-deb -x "$deb" "$scratch/extracted"
check_tree "$scratch/extracted"
binary=$scratch/extracted/usr/bin/nucleus
size=$(stat -c %s "$binary")
((size < 3000000)) || fail "the binary has $size bytes"
readelf -S "$binary" | grep -qF '.symtab' && fail "the binary is not stripped"
readelf -lW "$binary" | grep -q 'INTERP' && fail "the binary asks for a dynamic loader"
readelf -hW "$binary" | grep -q 'Type: *DYN' || fail "the binary is not position-independent"
readelf -lW "$binary" | grep -qE 'GNU_STACK.* RW ' || fail "the binary asks for an executable stack"
readelf -lW "$binary" | grep -q 'GNU_RELRO' || fail "the binary has no RELRO"

# The completions are read without complaint by their shells; zsh and fish where they are installed.
bash -n "$scratch/extracted/usr/share/bash-completion/completions/nucleus" || fail "bash does not read its completion"
for shell in zsh fish; do
  if command -v "$shell" >/dev/null; then
    "$shell" -n "$scratch/extracted/usr/share/$shell/"vendor[-_]completions*/*nucleus* || fail "$shell: bad completion"
  else
    echo "packaging: no $shell here, its completion was not checked"
  fi
done

# Completion and man page name exactly the commands and options that the program has.
man_words() {  # COMMAND's part of the man page; "global" is the one before the commands
  if [[ $1 == global ]]; then
    sed -n '/^\.Sh GLOBAL OPTIONS/,/^\.Sh COMMANDS/p' docs/man/nucleus.8
  else
    awk -v command="$1" '/^\.It Xo/ { getline; within = $2 == command } /^\.It Cm/ { within = $3 == command }
                         /^\.Sh/ { within = 0 } within' docs/man/nucleus.8
  fi
}
# shellcheck source=/dev/null
source packaging/completions/nucleus.bash
commands=$("$binary" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort)
[[ -n $commands ]] || fail "nucleus --help lists no commands"
# shellcheck disable=SC2034  # the completion reads them
offered=$(COMP_WORDS=(nucleus "") COMP_CWORD=1 && _nucleus && printf '%s\n' "${COMPREPLY[@]}" | sort)
[[ $offered == "$commands" ]] || fail "the bash completion offers other commands than nucleus has: $offered"
fronts=$(sed -n '/kFrontCommands/,/});/s/^ *{"\([a-z]*\)",.*/\1/p' shim/cli/front.h | xargs)
[[ -n $fronts ]] || fail "no front ends found in shim/cli/front.h"
for command in global $commands; do
  if [[ $command == global ]]; then
    help=$("$binary" --help)
  else
    # Where it is installed is not where nucleus looks for its front ends here: this is how it calls them.
    if [[ " $fronts " == *" $command "* ]]; then
      help=$("$scratch/extracted/usr/libexec/nucleus/nucleus-front" 0 "$command" --help)
    else
      help=$("$binary" "$command" --help)
    fi
    grep -q "^\.\(It \)\?Cm $command\$" docs/man/nucleus.8 || fail "the man page lacks $command"
    grep -q "'$command:" packaging/completions/_nucleus || fail "the zsh completion lacks $command"
    grep -q -- "-a $command -d" packaging/completions/nucleus.fish || fail "the fish completion lacks $command"
  fi
  options=$(grep -oE '^  (-[a-z],)?--[a-z0-9-]+' <<<"$help" | grep -oE -- '--[a-z0-9-]+' | sed '/^--help$/d' | sort)
  # shellcheck disable=SC2086,SC2154  # words; from the completion
  listed=$(printf '%s\n' ${_nucleus_options[$command]} | sed '/^--help$/d' | sort)
  [[ $listed == "$options" ]] || fail "bash completion and $command --help differ: ${listed//$'\n'/ } / ${options//$'\n'/ }"
  # run's and exec's pages refer to create's.
  documented=$(man_words "$command"; if [[ $command == run || $command == exec ]]; then man_words create; fi)
  for option in $options; do
    grep -qE "Fl (. , )?-${option#--}( |$)" <<<"$documented" || fail "the man page lacks $option of $command"
    grep -qF -- "$option" packaging/completions/_nucleus || fail "the zsh completion lacks $option"
    grep -qE -- "-l ${option#--}( |$)" packaging/completions/nucleus.fish || fail "the fish completion lacks $option"
  done
done

echo "packaging: $(basename "$deb"), ${#expected[@]} files, a static binary of $size bytes"
