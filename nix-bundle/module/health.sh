# health.sh wait|watch TOOLS NUCLEUS ID INTERVAL TIMEOUT RETRIES COMMAND...
#
# wait: until the command succeeds in the container once; systemd's TimeoutStartSec= is the end of it.
# watch: forever; the container's unit is restarted when the command has failed RETRIES times in a row.
set -u

what=$1 nucleus=$3 id=$4 interval=$5 timeout=$6 retries=$7
PATH=$2
export PATH
shift 7

healthy() {
  timeout "$timeout" "$nucleus" --root /run/nucleus exec "$id" "$@"
}

if [ "$what" = wait ]; then
  until healthy "$@" >/dev/null 2>&1; do
    sleep 1
  done
  exit
fi

failures=0
while [ "$failures" -lt "$retries" ]; do
  sleep "$interval"
  if said=$(healthy "$@" 2>&1); then
    failures=0
  else
    failures=$((failures + 1))
    echo "unhealthy ($failures of $retries): $said"
  fi
done
systemctl --no-block restart "$id.service"
