#!/usr/bin/env bash
# The black-box tests inside a virtual machine: Debian 12 with systemd as PID 1 and cgroup v2 alone, which most build hosts
# and containers are not.
#   conformance/vm/run.sh [--keep] [MODULE[:TEST[,TEST]]... | all]
# Without modules: those that depend on the host's cgroups and kernel most. MODULE is the SUBJECT of test_SUBJECT.py.
#
# RUNTIME   the nucleus to test (default: the dev build), or one that the machine has: /usr/sbin/runc, /usr/bin/crun
# PROBE     the probe (default: the dev build's)
# NUCLEUS_VM_CACHE     where Debian's tree and its disk image are kept (default: build/vm)
# NUCLEUS_VM_LSM       apparmor (default), or selinux: the reference policy, permissive. A kernel has one of them
# NUCLEUS_VM_TIMEOUT   seconds for everything inside (default: 2400, for `all` 5400)
# NUCLEUS_VM_RESULTS   a file for each test's result, a line of JSON for each (see stream.py)
# NUCLEUS_TEST_SLOW    factor on every wait of the tests (default: 10; the processor is emulated)
#
# Exit status: 0 all passed, 1 a test failed, 2 the machine could not be made, or did not come to its end in time.
# --keep leaves the drive with the results and the console's log in the cache.
set -euo pipefail
{  # read as a whole before it runs: editing the file does not disturb a run

project=$(cd "$(dirname "$0")/../.." && pwd)
runtime=${RUNTIME:-$project/build/dev/shim/nucleus}
probe=${PROBE:-$project/build/dev/conformance/probe}
cache=${NUCLEUS_VM_CACHE:-$project/build/vm}
slow=${NUCLEUS_TEST_SLOW:-10}
suite=bookworm
mirror=http://deb.debian.org/debian
packages=(systemd systemd-sysv dbus libpam-systemd linux-image-amd64 kmod apparmor python3-minimal python3 busybox-static
          runc crun criu iptables uidmap procps iproute2 util-linux strace libstdc++6 libmnl0)
lsm=${NUCLEUS_VM_LSM:-apparmor}
boot=
case $lsm in
  apparmor) ;;
  selinux)
    packages+=(selinux-policy-default policycoreutils selinux-utils)
    boot="security=selinux selinux=1"
    ;;
  *)
    echo "run.sh: NUCLEUS_VM_LSM is apparmor or selinux, not $lsm" >&2
    exit 2
    ;;
esac
default_modules=(modules cgroups devices lsm systemd service netdevices rootless:Cgroups attest:Verity
                 compose:Units,Supervise daytwo:Systemd sandbox:Sandbox.test_run_may_be_mounted_noexec
                 checkpoint:Refusals,Life.test_there_and_back,Life.test_terminal,Life.test_readonly_root_and_cgroup_mount,Life.test_seccomp_and_masks,Life.test_faults)

fail() {
  echo "run.sh: $*" >&2
  exit 2
}

keep=
if [[ ${1-} == --keep ]]; then
  keep=1
  shift
fi
modules=("${@:-${default_modules[@]}}")
limit=2400
if [[ ${modules[*]} == all ]]; then
  modules=()
  for file in "$project"/conformance/test_*.py; do
    name=$(basename "$file" .py)
    # What these drive or read the machine does not have; the last would take it hours.
    [[ $name =~ ^test_(podman|containerd|rules|stress)$ ]] || modules+=("${name#test_}")
  done
  limit=5400
fi
limit=${NUCLEUS_VM_TIMEOUT:-$limit}

((EUID == 0)) || fail "must be root"
for tool in qemu-system-x86_64 debootstrap mke2fs debugfs; do
  command -v "$tool" >/dev/null || fail "no $tool here: ./setup.sh vm"
done
for module in "${modules[@]}"; do
  [[ -e $project/conformance/test_${module%%:*}.py ]] || fail "no such module: ${module%%:*}"
done
case $(basename "$runtime") in
  nucleus*) [[ -x $runtime ]] || fail "no runtime at $runtime" ;;
esac
[[ -x $probe ]] || fail "no probe at $probe"

# ---- Debian's tree, kept by what it is made of

unit='[Unit]
Description=Black-box tests
After=basic.target dbus.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh -c "mkdir -p /nucleus && mount /dev/vdb /nucleus && exec /usr/bin/python3 -B /nucleus/conformance/vm/inside.py"
ExecStopPost=/bin/umount -l /nucleus
ExecStopPost=/bin/sync
TimeoutStartSec=infinity
StandardOutput=journal+console
StandardError=journal+console'

mkdir -p "$cache"
key=$(printf '%s\n' "$suite" "${packages[@]}" | sha256sum | cut -c1-12)
tree=$cache/tree-$lsm-$key
image=$cache/debian-$lsm-$({ echo "$key"; cat "$0"; } | sha256sum | cut -c1-12).img
exec 9>"$cache/lock"
flock 9
if [[ ! -d $tree ]]; then
  echo "run.sh: making Debian's tree (once)" >&2
  rm -rf "$cache/tree-$lsm"-*
  mkdir -p "$cache/packages"
  debootstrap --variant=minbase --cache-dir="$cache/packages" --include="$(IFS=,; echo "${packages[*]}")" \
    "$suite" "$tree.part" "$mirror" >"$cache/debootstrap.log" 2>&1 || { tail -n 20 "$cache/debootstrap.log" >&2; fail "debootstrap"; }
  mv "$tree.part" "$tree"
fi
if [[ ! -e $image ]]; then
  rm -f "$cache/debian-$lsm"-*.img
  units=$tree/etc/systemd/system
  mkdir -p "$units/multi-user.target.wants"
  printf '%s\n' "$unit" >"$units/nucleus-test.service"
  ln -sf ../nucleus-test.service "$units/multi-user.target.wants/nucleus-test.service"
  ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
  # A getty would hang up the console under the tests' feet; the timers only cost time.
  for name in serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
              e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-timesyncd.service; do
    ln -sf /dev/null "$units/$name"
  done
  printf 'nucleus-vm\n' >"$tree/etc/hostname"
  if [[ $lsm == selinux ]]; then
    mkdir -p "$tree/etc/selinux"
    printf 'SELINUX=permissive\nSELINUXTYPE=default\n' >"$tree/etc/selinux/config"
  fi
  rm -f "$image.part"
  truncate -s 4G "$image.part"
  mke2fs -q -t ext4 -m 0 -d "$tree" "$image.part"
  mv "$image.part" "$image"
fi
kernel=$(ls "$tree"/boot/vmlinuz-* | tail -n 1)
initrd=$(ls "$tree"/boot/initrd.img-* | tail -n 1)
exec 9>&-

# ---- this run's drive: what is tested, the tests, and room for what they say

work=$(mktemp -d "$cache/run.XXXXXX")
qemu=
# shellcheck disable=SC2317  # called by the trap
finish() {
  if [[ -n $qemu ]]; then
    kill "$qemu" 2>/dev/null || true
  fi
  if [[ -n $keep ]]; then
    echo "run.sh: kept $work" >&2
  else
    rm -rf "$work"
  fi
}
trap finish EXIT
trap 'exit 2' INT TERM

payload=$work/payload
mkdir -p "$payload/build/dev/shim" "$payload/build/dev/conformance" "$payload/conformance/vm" "$payload/results"
cp "$project"/conformance/*.py "$payload/conformance/"
cp "$project/conformance/vm/inside.py" "$payload/conformance/vm/"
mkdir -p "$payload/nix-bundle/tests" "$payload/nix-bundle/module" "$payload/front/compose"
cp "$project/front/compose/topology.schema.json" "$payload/front/compose/"
cp -r "$project/nix-bundle/tests/units" "$payload/nix-bundle/tests/"
cp "$project/nix-bundle/module/health.sh" "$payload/nix-bundle/module/"
cp -r "$project/docs" "$payload/"
cp "$probe" "$payload/build/dev/conformance/probe"
if [[ -x $(dirname "$probe")/netprobe ]]; then
  cp "$(dirname "$probe")/netprobe" "$payload/build/dev/conformance/"
fi
inside=$runtime
case $(basename "$runtime") in
  nucleus*)
    cp "$runtime" "$payload/build/dev/shim/nucleus"
    inside=/nucleus/build/dev/shim/nucleus
    # The program knows its helpers by the absolute paths of its own build: there they are in the machine as well.
    mkdir "$payload/helpers"
    realpath "$runtime" >"$payload/helper-paths"  # which they look for in turn
    for helper in ../nucleus-systemd ../runtime/egress/nucleus-net ../front/nucleus-front; do
      helper=$(realpath -m "$(dirname "$runtime")/$helper")
      if [[ -x $helper ]]; then
        cp "$helper" "$payload/helpers/"
        printf '%s\n' "$helper" >>"$payload/helper-paths"
      fi
    done
    ;;
esac
printf '%s\n' "${modules[@]}" >"$payload/modules"
printf '%s\n' "RUNTIME=$inside" "NUCLEUS_TEST_SLOW=$slow" NUCLEUS_RESULTS=/nucleus/results/results.jsonl >"$payload/environment"
truncate -s 256M "$work/run.img"
mke2fs -q -t ext4 -m 0 -d "$payload" "$work/run.img"

# ---- the machine. Never accel=kvm: where it is offered without working, it opens and then hangs.
# no_timer_check: on a busy host the emulated timer is late, and the kernel would give it up.

console=$work/console
qemu-system-x86_64 -M q35 -accel tcg,thread=multi -smp 2 -m 1500 -cpu max -nodefaults -no-reboot -display none \
  -serial "file:$console" -kernel "$kernel" -initrd "$initrd" -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 no_timer_check $boot" \
  -drive "file=$image,if=virtio,format=raw,snapshot=on,cache=unsafe" \
  -drive "file=$work/run.img,if=virtio,format=raw,cache=unsafe" </dev/null &
qemu=$!
ended=
for ((second = 0; second < limit; second++)); do
  if ! kill -0 "$qemu" 2>/dev/null; then
    ended=1
    break
  fi
  sleep 1
done
if [[ -z $ended ]]; then
  kill "$qemu"
fi
wait "$qemu" 2>/dev/null || true
qemu=

result() {
  debugfs -R "cat /results/$1" "$work/run.img" 2>/dev/null
}
if [[ -n ${NUCLEUS_VM_RESULTS-} ]]; then
  result results.jsonl >"$NUCLEUS_VM_RESULTS"
fi
status=$(result status)
if [[ -z $ended || -z $status ]]; then
  if [[ -n $ended ]]; then what="ended without a result"; else what="no end within $limit s"; fi
  echo "run.sh: $what; the console's last lines:" >&2
  tail -n 60 "$console" | tr -d '\r' >&2
  echo "run.sh: what the drive has of the tests' output:" >&2
  result output | tail -n 60 >&2
  result summary >&2
  exit 2
fi
result output
result summary
exit "$status"
}
