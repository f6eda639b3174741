# A root filesystem of its links and, for each path of the store that these need, a copy or the place to bind it on. The
# second output lists those paths.
set -eu
umask 022

cp -dR "$links" "$out"
# Whoever builds need not be root.
chmod -R u+w "$out"
# The graph: a path, the derivation that made it, the number of its references, and these, a line each.
while read -r path; do
  read -r _
  read -r count
  while [ "$count" -gt 0 ]; do
    read -r _
    count=$((count - 1))
  done
  [ "$path" != "$links" ] || continue
  mkdir -p "$out${path%/*}"
  if [ -n "$copy" ] || [ -L "$path" ]; then
    cp -dR "$path" "$out$path"
    continue
  elif [ -d "$path" ]; then
    mkdir "$out$path"
  else
    : >"$out$path"
  fi
  echo "$path"
done <graph >paths
if [ -z "$copy" ]; then
  sort paths >"$closure"
fi
