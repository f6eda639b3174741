# What bench/pgbench.sh measures, wherever it runs: PostgreSQL and its load generator side by side, over a unix socket.
#   sh pgload.sh DATA SOCKETS SECONDS CLIENTS [PGBENCH OPTION...]   prints transactions per second
set -eu
data=$1 sockets=$2 seconds=$3 clients=$4
shift 4
PATH=/usr/lib/postgresql/15/bin:/bin:/usr/bin
export PATH
postgres -D "$data" -k "$sockets" -c listen_addresses= >"$sockets/log" 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null || true' EXIT
until pg_isready -q -h "$sockets" -U postgres; do
  kill -0 $server 2>/dev/null || { cat "$sockets/log" >&2; exit 1; }
  sleep 0.1
done
# The first second fills caches, and is not counted.
pgbench -n -h "$sockets" -U postgres -c "$clients" -T 1 "$@" postgres >/dev/null 2>&1
pgbench -n -h "$sockets" -U postgres -c "$clients" -T "$seconds" "$@" postgres 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
kill -INT $server
wait $server || true
trap - EXIT
