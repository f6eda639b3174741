------------------------------- MODULE Setup -------------------------------
(* One container from its first directory entry to its first instruction:      *)
(* the stages, what the failure of each means in each mode (policies/mode.h),  *)
(* what has been made by then, and that all of it goes again.                  *)
(*                                                                             *)
(* The stages are fault points of the program. Those whose names begin with    *)
(* "child." are the init's, "start." the start command's, the rest create's.   *)
(* They overlap in time where neither waits for the other; here they have the  *)
(* order in which the walk lets them go.                                       *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Modes,    \* those that are asked for
  Failures, \* how many stages may fail
  Kills,    \* whether a process may be killed where it stands
  Broken    \* "none", or the name of the flaw that the checker has to find

S(name, row) == [name |-> name, row |-> row]

(* In the order of a container's life; the row of the mode table that decides  *)
(* what its failure means, "-" where that is an error in every mode.           *)
All == <<
  S("create.rootfs-verify", "-"),
  S("create.state-dir", "-"), S("create.config-copy", "-"),
  S("create.cgroup-make", "cgroup"), S("create.cgroup-limits", "cgroup"),
  S("create.start-socket", "-"), S("create.clone", "-"),
  S("child.namespaces", "-"), S("create.id-maps", "-"), S("create.cgroup-attach", "-"),
  S("create.seccomp-compile", "seccomp"),
  S("child.loopback", "-"), S("child.root", "-"), S("child.mounts", "-"), S("child.devices", "-"),
  S("child.cwd", "-"), S("child.cgroup-namespace", "-"), S("child.sysctl", "-"), S("child.hostname", "-"),
  S("child.readonly", "masked-paths"), S("child.masks", "masked-paths"), S("child.pivot", "-"),
  S("child.audit", "mount-audit"), S("child.landlock", "landlock"), S("child.confine", "-"), S("child.lookup", "-"),
  S("create.save-state", "-"), S("create.pid-file", "-"),
  S("start.connect", "-"), S("child.uplinks", "-"), S("child.finish", "-"),
  S("child.landlock-enter", "landlock"), S("child.seccomp", "seccomp"), S("child.exec", "-"),
  S("start.save-state", "-") >>

OfModes == {"child.audit", "child.landlock", "child.uplinks", "child.landlock-enter"}

Stages(mode) == SelectSeq(All, LAMBDA s : /\ s.name = "create.rootfs-verify" => mode = "production"
                                          /\ s.name \in OfModes => mode # "plain")

Degradable == {"cgroup", "seccomp", "masked-paths", "mount-audit", "landlock"}
MayDegrade(mode, row) ==
  \/ mode = "agent" /\ row \in Degradable
  \/ Broken = "strict degrades" /\ mode = "strict-agent" /\ row = "landlock"
\* What the reader of the bundle expects, said once more and apart from what the program does.
Required(mode, s) == s.row \notin Degradable \/ mode # "agent"

VARIABLES
  mode,     \* "none" before it begins
  at,       \* the stage that comes next
  held,     \* stages that are in force
  missing,  \* rows of the table that it goes on without, as the state says
  made,     \* what of it is on the host: "directory", "cgroup", "init"
  ran,      \* whether an instruction of the workload has run
  phase,    \* "setting up", "running", "undone", "stopped", "killed", "gone"
  failures

vars == <<mode, at, held, missing, made, ran, phase, failures>>

Here == Stages(mode)[at]
Standing == mode # "none" /\ phase = "setting up"

Init ==
  /\ mode = "none" /\ at = 1 /\ held = {} /\ missing = {} /\ made = {} /\ ran = FALSE /\ phase = "setting up"
  /\ failures = 0

\* The first stage after the directory has been made, or before.
First(m) == IF m = "production" THEN {} ELSE {"directory"}

Begin(m) ==
  /\ mode = "none" /\ mode' = m /\ made' = First(m)
  /\ UNCHANGED <<at, held, missing, ran, phase, failures>>

\* Stages that are passed over where an earlier one of their row is missing.
Skipped(name, m) ==
  \/ name = "create.cgroup-limits" /\ "cgroup" \in m
  \/ name = "child.landlock-enter" /\ "landlock" \in m
  \/ name = "child.seccomp" /\ "seccomp" \in m

RECURSIVE NextFrom(_, _)
NextFrom(i, m) == IF i <= Len(Stages(mode)) /\ Skipped(Stages(mode)[i].name, m) THEN NextFrom(i + 1, m) ELSE i

\* What is there once the stage has been passed.
MadeBy(name) ==
  CASE name = "create.rootfs-verify" -> {"directory"}  \* made on the way to the next stage
    [] name = "create.cgroup-make" -> {"cgroup"}
    [] name = "create.clone" -> {"init"}
    [] OTHER -> {}

\* The audit finds what was not masked.
Missed(name, m) == IF name = "child.audit" /\ "masked-paths" \in m THEN {"mount-audit"} ELSE {}

Passes ==
  /\ Standing
  /\ LET s == Here  m == missing \cup Missed(s.name, missing) IN
     /\ held' = IF Missed(s.name, missing) = {} THEN held \cup {s.name} ELSE held
     /\ missing' = m
     /\ made' = made \cup MadeBy(s.name)
     /\ ran' = (ran \/ s.name = "child.exec" \/ (Broken = "early exec" /\ s.name = "child.finish"))
     /\ at' = NextFrom(at + 1, m)
     /\ phase' = IF at' > Len(Stages(mode)) THEN "running" ELSE phase
  /\ UNCHANGED <<mode, failures>>

\* Without it, where the mode lets it go, and the state says so.
Degrades ==
  /\ Standing /\ failures < Failures
  /\ MayDegrade(mode, Here.row)
  /\ missing' = missing \cup {Here.row}
  /\ at' = NextFrom(at + 1, missing')
  /\ failures' = failures + 1
  /\ UNCHANGED <<mode, held, made, ran, phase>>

\* create takes everything back; so does start where the process runs and that cannot be written down.
Fails ==
  /\ Standing /\ failures < Failures
  /\ ~MayDegrade(mode, Here.row)
  /\ failures' = failures + 1
  /\ LET name == Here.name
         starting == name \in {"child.uplinks", "child.finish", "child.landlock-enter", "child.seccomp", "child.exec"} IN
     CASE name = "start.connect" -> UNCHANGED <<made, phase>>  \* nothing has happened: it may be said again
       [] starting -> made' = made \ {"init"} /\ phase' = "stopped"
       [] OTHER -> /\ made' = IF Broken = "cgroup stays" THEN made \cap {"cgroup"} ELSE {}
                   /\ phase' = "undone"
  /\ UNCHANGED <<mode, at, held, missing, ran>>

InInit == Here.name \in {s.name : s \in {All[i] : i \in 1 .. Len(All)}} /\ SubSeq(Here.name, 1, 6) = "child."

\* The runtime's command. An init that is not ready sees that nobody is there, and ends.
KillCommand ==
  /\ Kills /\ Standing /\ ~InInit
  /\ phase' = "killed"
  /\ made' = IF Here.name \in {"create.save-state", "create.pid-file", "start.connect", "start.save-state"} THEN made
             ELSE made \ {"init"}
  /\ UNCHANGED <<mode, at, held, missing, ran, failures>>

\* create takes back what it has made; what start finds dead is for delete.
KillInit ==
  /\ Kills /\ Standing /\ InInit
  /\ IF Here.name \in {"child.uplinks", "child.finish", "child.landlock-enter", "child.seccomp", "child.exec"}
     THEN made' = made \ {"init"} /\ phase' = "stopped"
     ELSE made' = {} /\ phase' = "undone"
  /\ UNCHANGED <<mode, at, held, missing, ran, failures>>

Delete ==
  /\ phase \in {"running", "stopped", "killed"}
  /\ made' = {} /\ phase' = "gone"
  /\ UNCHANGED <<mode, at, held, missing, ran, failures>>

Next == (\E m \in Modes : Begin(m)) \/ Passes \/ Degrades \/ Fails \/ KillCommand \/ KillInit \/ Delete
Spec == Init /\ [][Next]_vars /\ WF_vars(Passes)

-----------------------------------------------------------------------------
TypeOK ==
  /\ mode \in Modes \cup {"none"}
  /\ missing \subseteq Degradable
  /\ made \subseteq {"directory", "cgroup", "init"}
  /\ phase \in {"setting up", "running", "undone", "stopped", "killed", "gone"}

\* No instruction of the workload has run while a stage that was required had not held.
FailClosed ==
  ran => \A i \in 1 .. Len(Stages(mode)) :
           LET s == Stages(mode)[i] IN
           Required(mode, s) /\ s.name \notin {"child.exec", "start.save-state"} => s.name \in held

\* Only one mode goes on without, only in its cells, and what it goes on without stands in the state.
OnlyAgentDegrades == missing # {} => mode = "agent"
NothingIsMissedInSilence ==
  ran => \A i \in 1 .. Len(Stages(mode)) :
           LET s == Stages(mode)[i] IN
           s.name \in held \/ s.row \in missing \/ s.name \in {"child.exec", "start.save-state"}

EmptyHost == phase \in {"undone", "gone"} => made = {}

\* Begun, it comes to an end: the workload runs, or the reason why not is told.
Ends == mode # "none" ~> phase # "setting up"

THEOREM Spec => []TypeOK /\ []FailClosed /\ []OnlyAgentDegrades /\ []NothingIsMissedInSilence /\ []EmptyHost /\ Ends
=============================================================================
