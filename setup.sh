#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing, and nothing else:
#   ./setup.sh [build] [test] [bench] [pgbench] [vm]
# Nothing missing is the usual case: then it asks dpkg once and changes nothing. Without arguments: build.
set -euo pipefail

declare -A packages=(
  # To compile nucleus and to run quickstart.sh. All libraries are linked statically, but for those of helpers:
  # libsystemd, of the systemd cgroup driver's, libmnl, of the network's, and libcurl, of the one that sends spans.
  [build]="g++ cmake ninja-build pkg-config git libyajl-dev libseccomp-dev libcap-dev libssl-dev libtomlplusplus-dev
           libsystemd-dev libcurl4-openssl-dev libcli11-dev libmnl-dev libnftnl-dev libldns-dev busybox-static"
  # To run test.sh: unit tests, the second compiler and its checks, and the callers that drive a runtime.
  [test]="libboost-test-dev clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev ccache dpkg-dev
          file nginx-light podman conmon containerd runc uidmap passwd strace jq iproute2 procps python3 python3-jsonschema util-linux
          git nodejs make nix-bin nftables passt slirp4netns dnsmasq-base unbound tinyproxy python3-pip runsc"
  # To compare with another runtime.
  [bench]="hyperfine runc bubblewrap busybox-static python3 iperf3 iproute2"
  # To run bench/pgbench.sh.
  [pgbench]="postgresql-15 busybox-static util-linux"
  # To run the black-box tests in a machine with cgroup v2 alone (conformance/vm/run.sh).
  [vm]="qemu-system-x86 debootstrap e2fsprogs"
)

wanted=()
for group in "${@:-build}"; do
  if [[ ! -v packages[$group] ]]; then
    echo "setup.sh: unknown group '$group' (build, test, bench, pgbench, vm)" >&2
    exit 2
  fi
  # shellcheck disable=SC2206  # one word, one package
  wanted+=(${packages[$group]})
done

# One query for all. It exits non-zero when a name is unknown to it: such a package is missing too.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  grep -q "^$package ii" <<<"$installed" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

if ((EUID != 0)); then
  echo "setup.sh: missing packages, and only root can install them: ${missing[*]}" >&2
  exit 1
fi
echo "setup.sh: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Starting the daemons of what is installed is not ours to do: the tests start their own.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
