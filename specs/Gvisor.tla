------------------------------- MODULE Gvisor -------------------------------
(* A container that gVisor carries: what nucleus and runsc agree on while       *)
(* either is killed anywhere, runsc fails, hangs for ever, or says that it has  *)
(* done what it has not (shim/gvisor).                                          *)
(*                                                                              *)
(* nucleus executes nucleus-gvisor with the same command line before anything   *)
(* is made: to this model they are one command. What it needs of runsc it asks  *)
(* by running it: a tool, which makes a sandbox, lets it run, sends it a signal *)
(* or starts a process in it. A tool is killed when its time is over and when   *)
(* its command is gone; a sandbox outlives both. create's and exec's tools are  *)
(* in the container's cgroups, as the sandbox is; those of start and kill are   *)
(* not.                                                                         *)
(*                                                                              *)
(* A hang is a tool that takes no step any more: nothing here says that one     *)
(* does. A command waits in "waiting" for the end of its tool or of its time.   *)
(* The other points of a command are fault points of the program, as in         *)
(* Lifecycle, which has the races for the directory and its lock.               *)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Procs,     \* how many commands may be under way at the same time: 1..Procs
  Commands,  \* those that may be launched
  Faults,    \* which of {"crash", "fail", "death", "refusal", "lie"} may happen
  Broken     \* "none", or the name of the flaw that the checker has to find

P == 1 .. Procs
K == 1 .. Procs + 1

VARIABLES
  disk,   \* what the state says: "none" (no directory), "empty" (no state), "creating", "created", "running"
  named,  \* the sandbox that it names; 0: none
  lock,   \* the command that has the directory's lock; 0: nobody
  cgroup, \* whether the container's cgroups are there
  box,    \* sandbox -> "dead", "making", "waiting" (for start), "running"
  guest,  \* whether a process of exec is in the cgroups
  stray,  \* whether a tool is there that is in no cgroup of the container, and whose command is gone
  proc    \* command -> [cmd, pc, mine, box, tool, solo]

vars == <<disk, named, lock, cgroup, box, guest, stray, proc>>

\* mine: the directory that it has open is the one that the name leads to.
\* tool: "none"; "works"; "forked" (there is a sandbox), "said" (and its pid is known); "acted" (what was asked is done); how it
\* has ended: "good", "bad".
Idle == [cmd |-> "none", pc |-> "idle", mine |-> FALSE, box |-> 0, tool |-> "none", solo |-> FALSE]

Active == {p \in P : proc[p].pc # "idle"}
IsFree(k) == box[k] = "dead" /\ named # k /\ \A p \in P : proc[p].box # k
Alive(k) == k # 0 /\ box[k] # "dead"
Waits(k) == IF k = 0 THEN FALSE ELSE box[k] = "waiting"

Init ==
  /\ disk = "none" /\ named = 0 /\ lock = 0 /\ cgroup = FALSE
  /\ box = [k \in K |-> "dead"] /\ guest = FALSE /\ stray = FALSE
  /\ proc = [p \in P |-> Idle]

-----------------------------------------------------------------------------
(* Building blocks. *)

MayLaunch(p, c) == /\ c \in Commands /\ proc[p].pc = "idle"
                   /\ \A q \in P : q < p => proc[q].pc # "idle"

Launched(p, c, pc, mine, k, tool) ==
  [q \in P |-> IF q = p THEN [cmd |-> c, pc |-> pc, mine |-> mine, box |-> k, tool |-> tool,
                              solo |-> c = "force" /\ Active = {}]
               ELSE [proc[q] EXCEPT !.solo = FALSE]]

At(p, c, pc) == proc[p].cmd \in c /\ proc[p].pc = pc
Goes(p, pc) == proc' = [proc EXCEPT ![p].pc = pc, ![p].tool = "none"]
Ends(p) == proc' = [proc EXCEPT ![p] = Idle]
Runs(p, tool) == proc' = [proc EXCEPT ![p].tool = tool]
Asks(p) == proc' = [proc EXCEPT ![p].pc = "waiting", ![p].tool = "works"]
Unlocked(p) == IF lock = p THEN 0 ELSE lock

\* As the command sees it by the directory that it has open.
Phase(p) == IF proc[p].mine THEN disk ELSE "none"
HasState(p) == Phase(p) \in {"creating", "created", "running"}
MayLock(p) == ~proc[p].mine \/ lock = 0
LockedBy(p) == IF proc[p].mine THEN p ELSE lock

Killed(k) == IF k = 0 THEN box ELSE [box EXCEPT ![k] = "dead"]
\* A process of exec ends with its sandbox.
GuestWithout(k) == guest /\ ~(k # 0 /\ box[k] # "dead")
\* All that is in the cgroups; a tool there has ended badly.
AllKilled == IF Broken = "kills the named one" THEN Killed(named) ELSE [k \in K |-> "dead"]
InCgroup(q) == proc[q].cmd \in {"create", "exec"} /\ proc[q].tool \in {"works", "forked", "said", "acted"}

Status == IF ~Alive(named) THEN (IF disk = "creating" /\ named = 0 THEN "creating" ELSE "stopped") ELSE disk

-----------------------------------------------------------------------------
(* create *)

Create(p) ==
  /\ MayLaunch(p, "create") /\ disk = "none"
  /\ disk' = "empty" /\ named' = 0 /\ lock' = p
  /\ proc' = Launched(p, "create", "made", TRUE, 0, "none")
  /\ UNCHANGED <<cgroup, box, guest, stray>>

\* On disk before they are there.
CreateAnnounces(p) ==
  /\ At(p, {"create"}, "made")
  /\ disk' = IF Broken = "late state" THEN disk ELSE "creating"
  /\ Goes(p, "announced")
  /\ UNCHANGED <<named, lock, cgroup, box, guest, stray>>

CreateMakesCgroups(p) ==
  /\ At(p, {"create"}, "announced")
  /\ cgroup' = TRUE
  /\ Goes(p, "armed")
  /\ UNCHANGED <<disk, named, lock, box, guest, stray>>

CreateAsks(p) ==
  /\ At(p, {"create"}, "armed")
  /\ Asks(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* The pid that runsc has said is looked at: it may have ended by now, and then so does create.
CreateNames(p) ==
  /\ At(p, {"create"}, "waiting") /\ proc[p].tool = "good" /\ Waits(proc[p].box)
  /\ disk' = "creating" /\ named' = proc[p].box
  /\ Goes(p, "named")
  /\ UNCHANGED <<lock, cgroup, box, guest, stray>>

CreateSaves(p) ==
  /\ At(p, {"create"}, "named")
  /\ disk' = "created"
  /\ Goes(p, "saved")
  /\ UNCHANGED <<named, lock, cgroup, box, guest, stray>>

CreateEnds(p) ==
  /\ At(p, {"create"}, "saved")
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<disk, named, cgroup, box, guest, stray>>

\* Whatever was made goes, up to where the directory does.
Undoes(p) ==
  /\ box' = AllKilled /\ guest' = FALSE /\ cgroup' = FALSE
  /\ proc' = [q \in P |-> IF q = p THEN [proc[p] EXCEPT !.pc = "removing", !.tool = "none", !.box = 0]
                          ELSE IF InCgroup(q) THEN [proc[q] EXCEPT !.tool = "bad"] ELSE proc[q]]
  /\ UNCHANGED <<disk, named, lock, stray>>

CreateHearsNo(p) ==
  /\ At(p, {"create"}, "waiting")
  /\ \/ proc[p].tool = "bad"
     \/ proc[p].tool = "good" /\ ~Waits(proc[p].box)
  /\ Undoes(p)

CreateFails(p) ==
  /\ "fail" \in Faults
  /\ proc[p].cmd = "create" /\ proc[p].pc \in {"made", "announced", "armed", "named", "saved"}
  /\ Undoes(p)

-----------------------------------------------------------------------------
(* start, kill, exec *)

\* One that finds no state to read is refused by nucleus, which does not know that it would be gVisor's.
Start(p) ==
  /\ MayLaunch(p, "start") /\ disk \notin {"none", "empty"}
  /\ proc' = Launched(p, "start", "opened", TRUE, 0, "none")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

StartLocks(p) ==
  /\ At(p, {"start"}, "opened") /\ MayLock(p) /\ HasState(p) /\ Status = "created"
  /\ lock' = p
  /\ proc' = [proc EXCEPT ![p].pc = "judged", ![p].box = named]
  /\ UNCHANGED <<disk, named, cgroup, box, guest, stray>>

StartIsRefused(p) ==
  /\ At(p, {"start"}, "opened") /\ MayLock(p) /\ (~HasState(p) \/ Status # "created")
  /\ Ends(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

StartAsks(p) ==
  /\ At(p, {"start"}, "judged") /\ Alive(proc[p].box)
  /\ Asks(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

StartHears(p) ==
  /\ At(p, {"start"}, "waiting") /\ proc[p].tool = "good"
  /\ Goes(p, "started")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* Whether it runs nobody knows: it is ended, and the rest is for delete.
StartGivesUp(p) ==
  /\ box' = Killed(proc[p].box) /\ guest' = GuestWithout(proc[p].box)
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<disk, named, cgroup, stray>>

StartHearsNo(p) ==
  /\ \/ At(p, {"start"}, "waiting") /\ proc[p].tool = "bad"
     \/ At(p, {"start"}, "judged") /\ ~Alive(proc[p].box)
  /\ StartGivesUp(p)

StartFailsEarly(p) == "fail" \in Faults /\ At(p, {"start"}, "judged") /\ StartGivesUp(p)

StartEnds(p) ==
  /\ At(p, {"start"}, "started")
  /\ disk' = "running" /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<named, cgroup, box, guest, stray>>

\* A process that runs while its state says otherwise would be nobody's.
StartFails(p) ==
  /\ "fail" \in Faults /\ At(p, {"start"}, "started")
  /\ Goes(p, "killing")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* With KILL the sandbox's process is killed, and nobody is asked.
Kill(p) ==
  /\ MayLaunch(p, "kill") /\ disk \in {"creating", "created", "running"} /\ Alive(named)
  /\ proc' = Launched(p, "kill", "aimed", FALSE, named, "none")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

KillEnds(p) ==
  /\ At(p, {"kill"}, "aimed")
  /\ box' = Killed(proc[p].box) /\ guest' = GuestWithout(proc[p].box)
  /\ Ends(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, stray>>

\* Any other signal is for the process inside.
Signal(p) ==
  /\ MayLaunch(p, "signal") /\ disk \in {"creating", "created", "running"} /\ Alive(named)
  /\ proc' = Launched(p, "signal", "waiting", FALSE, named, "works")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

Exec(p) ==
  /\ MayLaunch(p, "exec") /\ disk = "running" /\ Alive(named)
  /\ proc' = Launched(p, "exec", "joining", FALSE, named, "none")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* Where the cgroups are gone its tool is not even born.
ExecAsks(p) ==
  /\ At(p, {"exec"}, "joining")
  /\ proc' = [proc EXCEPT ![p].pc = "waiting", ![p].tool = IF cgroup THEN "works" ELSE "bad"]
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

ExecFails(p) ==
  /\ "fail" \in Faults /\ At(p, {"exec"}, "joining")
  /\ Ends(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* Well or badly: nothing of the container changes by it.
Hears(p) ==
  /\ At(p, {"signal", "exec"}, "waiting") /\ proc[p].tool \in {"good", "bad"}
  /\ Ends(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

-----------------------------------------------------------------------------
(* The tools: runsc, whose steps nobody promises. *)

Working(p, c, tool) == proc[p].cmd = c /\ proc[p].tool = tool

ToolForks(p) ==
  /\ Working(p, "create", "works")
  /\ \E k \in K : IsFree(k) /\ \A j \in K : IsFree(j) => k <= j
       /\ box' = [box EXCEPT ![k] = "making"]
       /\ proc' = [proc EXCEPT ![p].tool = "forked", ![p].box = k]
  /\ UNCHANGED <<disk, named, lock, cgroup, guest, stray>>

ToolSays(p) ==
  /\ Working(p, "create", "forked") /\ Alive(proc[p].box)
  /\ box' = [box EXCEPT ![proc[p].box] = "waiting"]
  /\ Runs(p, "said")
  /\ UNCHANGED <<disk, named, lock, cgroup, guest, stray>>

ToolLetsRun(p) ==
  /\ Working(p, "start", "works") /\ box[proc[p].box] = "waiting"
  /\ box' = [box EXCEPT ![proc[p].box] = "running"]
  /\ Runs(p, "acted")
  /\ UNCHANGED <<disk, named, lock, cgroup, guest, stray>>

\* The process inside ends by it, and with it the sandbox.
ToolSignals(p) ==
  /\ Working(p, "signal", "works") /\ Alive(proc[p].box)
  /\ box' = Killed(proc[p].box) /\ guest' = GuestWithout(proc[p].box)
  /\ Runs(p, "acted")
  /\ UNCHANGED <<disk, named, lock, cgroup, stray>>

ToolJoins(p) ==
  /\ Working(p, "exec", "works") /\ Alive(proc[p].box)
  /\ guest' = TRUE
  /\ Runs(p, "acted")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, stray>>

ToolEnds(p) ==
  /\ proc[p].tool \in {"said", "acted"}
  /\ Runs(p, "good")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* It says that it has failed, or dies; what it has made stays.
ToolFails(p) ==
  /\ "refusal" \in Faults /\ proc[p].tool \in {"works", "forked", "said", "acted"}
  /\ Runs(p, "bad")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* All is well, it says: without a sandbox, or without having said which process that is.
ToolLies(p) ==
  /\ "lie" \in Faults /\ proc[p].cmd = "create" /\ proc[p].tool \in {"works", "forked"}
  /\ Runs(p, "good")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* The command's time for it is over: it is killed.
TimesOut(p) ==
  /\ Broken # "no limit"
  /\ proc[p].pc = "waiting" /\ proc[p].tool \in {"works", "forked", "said", "acted"}
  /\ CASE proc[p].cmd = "create" -> Undoes(p)
       [] proc[p].cmd = "start" -> StartGivesUp(p)
       [] OTHER -> Ends(p) /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

-----------------------------------------------------------------------------
(* delete, with and without --force: runsc is not asked. *)

Deletes == {"delete", "force"}

\* With --force the directory is looked for a second time where there is none.
Delete(p, c) ==
  /\ MayLaunch(p, c) /\ (disk # "none" \/ c = "force")
  /\ proc' = Launched(p, c, IF disk = "none" THEN "again" ELSE "opened", disk # "none", 0, "none")
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

DeletePlainly(p) == Delete(p, "delete")
DeleteByForce(p) == Delete(p, "force")

Condemns(p) == HasState(p) /\ (proc[p].cmd = "force" \/ Status \in {"stopped", "created"})

DeleteLocks(p) ==
  /\ At(p, Deletes, "opened") /\ MayLock(p) /\ Condemns(p)
  /\ lock' = p
  /\ proc' = [proc EXCEPT ![p].pc = "killing", ![p].box = named]
  /\ UNCHANGED <<disk, named, cgroup, box, guest, stray>>

DeleteIsRefused(p) ==
  /\ At(p, {"delete"}, "opened") /\ MayLock(p) /\ ~Condemns(p)
  /\ Ends(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

\* No state that can be read: the directory is looked for once more.
DeleteReadsNothing(p) ==
  /\ At(p, {"force"}, "opened") /\ MayLock(p) /\ ~HasState(p)
  /\ proc' = [proc EXCEPT ![p].pc = "again", ![p].mine = FALSE]
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

DeleteOpensAgain(p) ==
  /\ At(p, {"force"}, "again") /\ disk # "none"
  /\ proc' = [proc EXCEPT ![p].pc = "reopened", ![p].mine = TRUE]
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

DeleteFindsNone(p) ==
  /\ At(p, {"force"}, "again") /\ disk = "none"
  /\ Ends(p)
  /\ UNCHANGED <<disk, named, lock, cgroup, box, guest, stray>>

DeleteLocksAgain(p) ==
  /\ At(p, {"force"}, "reopened") /\ MayLock(p)
  /\ lock' = LockedBy(p)
  /\ proc' = [proc EXCEPT ![p].pc = IF HasState(p) THEN "killing" ELSE "removing", ![p].box = IF HasState(p) THEN named ELSE 0]
  /\ UNCHANGED <<disk, named, cgroup, box, guest, stray>>

\* The sandbox that the state names, by its pid.
Kills(p) ==
  /\ proc[p].pc = "killing"
  /\ box' = Killed(proc[p].box) /\ guest' = GuestWithout(proc[p].box)
  /\ Goes(p, "killed")
  /\ UNCHANGED <<disk, named, lock, cgroup, stray>>

\* And whatever else is in the cgroups.
RemovesCgroups(p) ==
  /\ proc[p].pc = "killed"
  /\ Undoes(p)

\* Its files first: a directory that is killed in between is "empty", and delete --force has done with it.
RemovesDirectory(p) ==
  /\ proc[p].pc = "removing"
  /\ disk' = IF proc[p].mine THEN "none" ELSE disk
  /\ named' = IF proc[p].mine THEN 0 ELSE named
  /\ lock' = Unlocked(p)
  /\ proc' = [q \in P |-> IF q = p THEN Idle ELSE IF proc[p].mine THEN [proc[q] EXCEPT !.mine = FALSE] ELSE proc[q]]
  /\ UNCHANGED <<cgroup, box, guest, stray>>

\* An error in the middle: said again, it goes on from there.
RemovalFails(p) ==
  /\ "fail" \in Faults
  /\ proc[p].cmd \in Deletes /\ proc[p].pc \in {"killing", "killed", "removing"}
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<disk, named, cgroup, box, guest, stray>>

-----------------------------------------------------------------------------
(* What may happen to anybody. *)

\* Its tool goes with it.
Crash(p) ==
  /\ "crash" \in Faults /\ proc[p].pc # "idle"
  /\ stray' = (stray \/ (Broken = "outlives" /\ proc[p].cmd \in {"start", "signal"} /\ proc[p].tool \in {"works", "acted"}))
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<disk, named, cgroup, box, guest>>

BoxDies(k) ==
  /\ "death" \in Faults /\ box[k] # "dead"
  /\ box' = Killed(k) /\ guest' = GuestWithout(k)
  /\ UNCHANGED <<disk, named, lock, cgroup, stray, proc>>

Steps(p) ==
  \/ CreateAnnounces(p) \/ CreateMakesCgroups(p) \/ CreateAsks(p) \/ CreateNames(p) \/ CreateSaves(p) \/ CreateEnds(p)
  \/ CreateHearsNo(p)
  \/ StartLocks(p) \/ StartIsRefused(p) \/ StartAsks(p) \/ StartHears(p) \/ StartHearsNo(p) \/ StartEnds(p)
  \/ KillEnds(p) \/ ExecAsks(p) \/ Hears(p)
  \/ TimesOut(p)
  \/ DeleteLocks(p) \/ DeleteIsRefused(p) \/ DeleteReadsNothing(p) \/ DeleteOpensAgain(p) \/ DeleteFindsNone(p)
  \/ DeleteLocksAgain(p)
  \/ Kills(p) \/ RemovesCgroups(p) \/ RemovesDirectory(p)

ToolSteps(p) ==
  \/ ToolForks(p) \/ ToolSays(p) \/ ToolLetsRun(p) \/ ToolSignals(p) \/ ToolJoins(p) \/ ToolEnds(p)
  \/ ToolFails(p) \/ ToolLies(p)

Next ==
  \/ \E p \in P :
     \/ Create(p) \/ Start(p) \/ Kill(p) \/ Signal(p) \/ Exec(p) \/ DeletePlainly(p) \/ DeleteByForce(p)
     \/ Steps(p) \/ ToolSteps(p)
     \/ CreateFails(p) \/ StartFailsEarly(p) \/ StartFails(p) \/ ExecFails(p) \/ RemovalFails(p)
     \/ Crash(p)
  \/ \E k \in K : BoxDies(k)

\* Whichever command can go on does so at last, and of those that wait for a lock each gets it at last. Of runsc nothing is
\* asked.
Spec == Init /\ [][Next]_vars /\ \A p \in P : SF_vars(Steps(p))

-----------------------------------------------------------------------------
(* The promises. *)

TypeOK ==
  /\ disk \in {"none", "empty", "creating", "created", "running"}
  /\ named \in 0 .. Procs + 1 /\ lock \in 0 .. Procs
  /\ box \in [K -> {"dead", "making", "waiting", "running"}]

Boxes == {k \in K : box[k] # "dead"}

NeverTwoSandboxes == Cardinality(Boxes) <= 1

\* Whatever there is of a sandbox is in cgroups that the state has, which is where delete looks for it; what runs is named.
NobodyIsForgotten ==
  /\ Boxes # {} \/ guest => cgroup /\ disk \in {"creating", "created", "running"}
  /\ \A k \in Boxes : box[k] = "running" => named = k

\* No directory, then nothing at all: runsc neither.
NothingIsLeft == disk = "none" => ~cgroup /\ Boxes = {} /\ ~guest /\ ~stray

\* The state never says that something runs before it was let go.
StateIsTrue == disk = "running" => named # 0 /\ box[named] \in {"running", "dead"}

\* Whatever has happened before: a delete --force that nobody disturbs ends clean.
ForceEndsClean ==
  [][\A p \in P : proc[p].cmd = "force" /\ proc[p].solo /\ proc[p].pc # "idle" /\ proc'[p].pc = "idle" /\ Steps(p)
       => disk' = "none" /\ ~cgroup' /\ ~guest' /\ ~stray' /\ \A k \in K : box'[k] = "dead"]_vars

\* create ends, delete ends, and so does every other, though runsc hang for ever.
EveryCommandEnds == \A p \in P : proc[p].pc # "idle" ~> proc[p].pc = "idle"

THEOREM Spec => []TypeOK /\ []NeverTwoSandboxes /\ []NobodyIsForgotten /\ []NothingIsLeft /\ []StateIsTrue
                /\ ForceEndsClean /\ EveryCommandEnds
=============================================================================
