#!/bin/bash
# Has TLC check the models and writes their graphs (graphs/*.graph) and what was explored (graphs/explored.txt).
#
#   TLA2TOOLS=tla2tools.jar specs/check.sh [MODULE...]
#
# TLA2TOOLS names TLC's jar, or a directory of its classes (`javac` builds them from its public source in a minute). The
# models are checked with Apalache as well where `apalache-mc` is installed and the module has annotations for it.
set -euo pipefail
cd "$(dirname "$0")"
: "${TLA2TOOLS:?names tla2tools.jar or a directory with its classes}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# MODULE; then what it takes: `check CONFIG LEAST-NUMBER-OF-STATES`, `graph CONFIG`, `broken CONFIG FLAW: WHAT IT VIOLATES`.
plan() {
  cat <<'END'
Lifecycle check Lifecycle 100000
Lifecycle check Lifecycle.ends 10000
Lifecycle broken Lifecycle.ends adopts: NobodyIsForgotten
Lifecycle broken Lifecycle.ends late state: NobodyIsForgotten
Lifecycle broken Lifecycle.ends reads once: NothingIsLeft
Lifecycle graph Lifecycle.alone
Lifecycle graph Lifecycle.pair
Lifecycle graph Lifecycle.four
Setup check Setup 1000
Setup broken Setup.one strict degrades: OnlyAgentDegrades
Setup broken Setup.one early exec: FailClosed
Setup broken Setup.one cgroup stays: EmptyHost
Setup graph Setup.one
Confine check Confine 100
Confine broken Confine exec has no filter: ConfinedFirst
Confine broken Confine descriptor: ConfinedFirst
Confine broken Confine drops all: ItRuns
Confine graph Confine.whole
Pins check Pins 1000
Pins broken Pins parses the file: WhatWasHashed
Pins broken Pins times do not tell: NeverTorn
Pins graph Pins.one
Egress check Egress 100000
Egress check Egress.ends 1000
Egress broken Egress.ends uplink first: OnlyWhatIsAllowed
Egress broken Egress.ends passes first: ToldIsGranted
Egress broken Egress.ends no margin: ToldIsGranted
Egress broken Egress.ends keeps all: OnlyWhatIsAllowed
Egress broken Egress.ends grants when dead: DeathMeansDeny
Egress graph Egress.walk
Egress graph Egress.any
Gvisor check Gvisor 10000
Gvisor check Gvisor.ends 1000
Gvisor broken Gvisor.ends no limit: EveryCommandEnds
Gvisor broken Gvisor outlives: NothingIsLeft
Gvisor broken Gvisor kills the named one: NobodyIsForgotten
Gvisor broken Gvisor late state: NobodyIsForgotten
Gvisor graph Gvisor.alone
Gvisor graph Gvisor.deaths
Gvisor graph Gvisor.pair
END
}

tlc() {
  java -XX:+UseParallelGC -Xmx3g -cp "$TLA2TOOLS" tlc2.TLC -workers "${TLC_WORKERS:-auto}" -noGenerateSpecTE -metadir "$work/meta" "$@"
}

# Numbers of TLC's last line of counts.
counts() {
  sed -nE 's/^([0-9]+) states generated, ([0-9]+) distinct states found, 0 states left on queue\.$/\1 \2/p' "$1" | tail -1
}

fail() {
  echo "check.sh: $*" >&2
  [ -f "$work/log" ] && tail -40 "$work/log" >&2
  exit 1
}

mkdir -p graphs
touch graphs/explored.txt
while read -r module word config rest; do
  if [ $# -gt 0 ] && [[ " $* " != *" $module "* ]]; then
    continue
  fi
  case $word in
    check)
      tlc -config "$config.cfg" "$module.tla" > "$work/log" 2>&1 || fail "$config: a promise does not hold"
      read -r generated distinct <<< "$(counts "$work/log")"
      [ "${distinct:-0}" -ge "$rest" ] || fail "$config: only ${distinct:-0} distinct states, $rest expected"
      line="$config: $generated states generated, $distinct distinct, all explored; module $(sha256sum < "$module.tla" | cut -c1-64)"
      echo "$line"
      { grep -v "^$config: " graphs/explored.txt || true; echo "$line"; } | LC_ALL=C sort > "$work/explored"
      cp "$work/explored" graphs/explored.txt
      ;;
    broken)
      flaw=${rest%%: *} violates=${rest##*: }
      # That promise alone: which of several TLC finds broken first is a matter of chance.
      kind=PROPERTY
      ! grep -qE "^INVARIANTS.* $violates( |$)" "$config.cfg" || kind=INVARIANT
      sed "s/Broken = .*/Broken = \"$flaw\"/; /^INVARIANTS/d; s/^PROPERTIES.*/$kind $violates/" "$config.cfg" > "$work/broken.cfg"
      if tlc -config "$work/broken.cfg" "$module.tla" > "$work/log" 2>&1; then
        fail "$module: the flaw \"$flaw\" is not found"
      fi
      grep -qE "(Invariant|Action property|Temporal propert|property).*(is|was|were) violated" "$work/log" || fail "$module: \"$flaw\" is no violation"
      grep -q "$violates\|Temporal properties were violated" "$work/log" || fail "$module: \"$flaw\" does not violate $violates"
      echo "$module with the flaw \"$flaw\": violates $violates"
      ;;
    graph)
      tlc -dump dot,actionlabels "$work/dump.dot" -config "$config.cfg" "$module.tla" > "$work/log" 2>&1 || fail "$config: a promise does not hold"
      ./compact.py "$module.tla" "$config.cfg" "$work/dump.dot" > "graphs/$config.graph"
      echo "graphs/$config.graph: $(grep -c ^state "graphs/$config.graph") states, $(grep ^edges "graphs/$config.graph" | grep -o : | wc -l) edges"
      ;;
  esac
done < <(plan)

if command -v apalache-mc > /dev/null; then
  for module in "${@:-}"; do
    [ -z "$module" ] || apalache-mc typecheck "$module.tla"
  done
fi
