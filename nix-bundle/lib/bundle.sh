# config.json, the policies and the manifest that it pins, and the digest that pins config.json.
set -eu
umask 022

mkdir -p "$out"
cd "$out"

# pin FILE: PATH@sha256:HEX. It fails where FILE is nothing that the runtime would read.
pin() { "$nucleus" policy pin "$1"; }

# Owners are the store's, whoever builds; which files of the store are the same inode is the store's to change.
if [ -n "$closure" ]; then
  cp "$closure" rootfs.closure
  "$nucleus" attest create --store --closure rootfs.closure -o rootfs.manifest "$rootfs" >/dev/null
else
  "$nucleus" attest create --store -o rootfs.manifest "$rootfs" >/dev/null
fi

{
  cat "$configPath"
  printf ',"annotations":'
  cat "$annotationsPath"
  manifest=$(pin rootfs.manifest)
  printf ',"dev.nucleus.rootfs.manifest":"%s"' "$manifest"
  if [ -n "$closure" ]; then
    list=$(pin rootfs.closure)
    printf ',"dev.nucleus.rootfs.closure":"%s"' "$list"
  fi
  # shellcheck disable=SC2086  # one word each: no path of the store has a space
  set -- $policies
  while [ $# -gt 0 ]; do
    mkdir -p policies
    cp "$3" "policies/$2"
    policy=$(pin "policies/$2")
    printf ',"dev.nucleus.policy.%s":"%s"' "$1" "$policy"
    shift 3
  done
  printf '}}\n'
} >config.json

# Everything that is pinned is read as the runtime will read it, and the policies are parsed.
"$nucleus" policy verify .

pinned=$(pin config.json)
printf '%s\n' "${pinned#config.json@}" >config-digest
# For a unit, apart from what it pins.
printf 'NUCLEUS_CONFIG_DIGEST=%s\n' "${pinned#config.json@}" >"$digest"
