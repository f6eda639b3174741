----------------------------- MODULE Lifecycle -----------------------------
(* The life of one container id under commands that run side by side and die   *)
(* anywhere: what is in the state directory, who has its lock, which processes *)
(* are there.                                                                  *)
(*                                                                             *)
(* A command goes from one point where others can be seen or be disturbed to   *)
(* the next; these points are fault points of the program (specs/walk.py has   *)
(* the table), so that a step here is a stretch of the real program.           *)
(*                                                                             *)
(* The caller is whoever launches commands: its crash is a behaviour that      *)
(* launches no more of them, and is in the model by that. The kernel is        *)
(* trusted: a lock ends with its holder, what is in a pid namespace ends with  *)
(* its first process, and a pidfd names one process for ever.                  *)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Procs,     \* how many commands may be under way at the same time: 1..Procs
  Inodes,    \* how many directories may be at hand at the same time
  Commands,  \* those that may be launched
  Faults,    \* which of {"crash", "fail", "death"} may happen
  Broken     \* "none", or the name of the flaw that the checker has to find

P == 1 .. Procs
I == 1 .. Inodes
K == 1 .. Procs + 1

VARIABLES
  path,   \* which directory the id names; 0: none
  disk,   \* directory -> [phase, init]: what its state.json says; phase "none": there is none
  lock,   \* directory -> who holds it; 0: nobody
  cgroup, \* whether cgroups of the container may be there
  init,   \* init -> "dead", "building", "waiting" (for start) or "running"
  ready,  \* the inits whose word that they are ready is on its way to create
  maker,  \* init -> the command on the other end of its channel; 0: it has ended
  guest,  \* init -> whether a process of exec runs beside it
  proc    \* command -> [cmd, pc, fd, k, solo]

vars == <<path, disk, lock, cgroup, init, ready, maker, guest, proc>>

Nothing == [phase |-> "none", init |-> 0]
Idle == [cmd |-> "none", pc |-> "idle", fd |-> 0, k |-> 0, solo |-> FALSE]

Active == {p \in P : proc[p].pc # "idle"}
FreeInode == CHOOSE i \in I : i # path /\ \A p \in P : proc[p].fd # i
SomeFreeInode == \E i \in I : i # path /\ \A p \in P : proc[p].fd # i
FreeInit == CHOOSE k \in K : /\ init[k] = "dead"
                             /\ \A p \in P : proc[p].k # k
                             /\ \A i \in I : disk[i].init # k
SomeFreeInit == \E k \in K : /\ init[k] = "dead"
                             /\ \A p \in P : proc[p].k # k
                             /\ \A i \in I : disk[i].init # k
Alive(k) == k # 0 /\ init[k] # "dead"

(* What `state` says: runtime/container/lifecycle.cpp. *)
Status(i) ==
  LET d == disk[i] IN
  IF ~Alive(d.init) THEN (IF d.phase = "creating" /\ d.init = 0 THEN "creating" ELSE "stopped")
  ELSE d.phase

Init ==
  /\ path = 0
  /\ disk = [i \in I |-> Nothing]
  /\ lock = [i \in I |-> 0]
  /\ cgroup = FALSE
  /\ init = [k \in K |-> "dead"]
  /\ ready = {}
  /\ maker = [k \in K |-> 0]
  /\ guest = [k \in K |-> FALSE]
  /\ proc = [p \in P |-> Idle]

-----------------------------------------------------------------------------
(* Building blocks. *)

\* The lowest that is free: which of them it is makes no difference.
MayLaunch(p, c) ==
  /\ c \in Commands
  /\ proc[p].pc = "idle"
  /\ \A q \in P : q < p => proc[q].pc # "idle"

\* Nobody is alone any more. Who was is of interest for a delete --force only: the last of the promises below.
Launched(p, c, pc, fd, k) ==
  [q \in P |-> IF q = p THEN [cmd |-> c, pc |-> pc, fd |-> fd, k |-> k, solo |-> c = "force" /\ Active = {}]
               ELSE [proc[q] EXCEPT !.solo = FALSE]]

At(p, c, pc) == proc[p].cmd \in c /\ proc[p].pc = pc
Goes(p, pc) == proc' = [proc EXCEPT ![p].pc = pc]
Ends(p) == proc' = [proc EXCEPT ![p] = Idle]
Unlocked(p) == [i \in I |-> IF lock[i] = p THEN 0 ELSE lock[i]]
WithoutMaker(p) == [k \in K |-> IF maker[k] = p THEN 0 ELSE maker[k]]
Unheard(p) == {k \in ready : maker[k] # p}

\* A process and all that lives in its pid namespace.
Killed(k) == IF k = 0 THEN init ELSE [init EXCEPT ![k] = "dead"]
Emptied(k) == IF k = 0 THEN guest ELSE [guest EXCEPT ![k] = FALSE]

-----------------------------------------------------------------------------
(* create *)

Create(p) ==
  /\ MayLaunch(p, "create") /\ path = 0 /\ SomeFreeInode
  /\ LET i == FreeInode IN
     /\ path' = i
     /\ disk' = [disk EXCEPT ![i] = Nothing]
     /\ lock' = [lock EXCEPT ![i] = 0]
  /\ proc' = Launched(p, "create", "made", 0, 0)
  /\ UNCHANGED <<cgroup, init, maker, guest, ready>>

CreateOpens(p) ==
  /\ At(p, {"create"}, "made") /\ path # 0
  /\ proc' = [proc EXCEPT ![p].pc = "opened", ![p].fd = path]
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

\* Somebody has taken it away.
CreateFindsNone(p) ==
  /\ At(p, {"create"}, "made") /\ path = 0
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

\* Between mkdir and the lock the directory may have become another's.
Ours(p) == Broken = "adopts" \/ (path = proc[p].fd /\ disk[proc[p].fd].phase = "none")

CreateLocks(p) ==
  /\ At(p, {"create"}, "opened") /\ lock[proc[p].fd] = 0
  /\ Ours(p)
  /\ lock' = [lock EXCEPT ![proc[p].fd] = p]
  /\ Goes(p, "locked")
  /\ UNCHANGED <<path, disk, cgroup, init, maker, guest, ready>>

CreateIsLate(p) ==
  /\ At(p, {"create"}, "opened") /\ lock[proc[p].fd] = 0
  /\ ~Ours(p)
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

\* On disk before it is there.
CreateAnnounces(p) ==
  /\ At(p, {"create"}, "locked") /\ path = proc[p].fd
  /\ disk' = [disk EXCEPT ![proc[p].fd] = IF Broken = "late state" THEN Nothing ELSE [phase |-> "creating", init |-> 0]]
  /\ cgroup' = TRUE
  /\ Goes(p, "announced")
  /\ UNCHANGED <<path, lock, init, maker, guest, ready>>

\* A create that could not get its lock has taken it away.
CreateLosesDirectory(p) ==
  /\ At(p, {"create"}, "locked") /\ path # proc[p].fd
  /\ Goes(p, "removing")
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

CreateClones(p) ==
  /\ At(p, {"create"}, "announced") /\ SomeFreeInit
  /\ LET k == FreeInit IN
     /\ init' = [init EXCEPT ![k] = "building"]
     /\ maker' = [maker EXCEPT ![k] = p]
     /\ disk' = [disk EXCEPT ![proc[p].fd] = IF Broken = "late state" THEN Nothing ELSE [phase |-> "creating", init |-> k]]
     /\ proc' = [proc EXCEPT ![p].pc = "cloned", ![p].k = k]
  /\ UNCHANGED <<path, lock, cgroup, guest, ready>>

\* The init by itself: its root is built, it waits for `start`.
InitIsReady(k) ==
  /\ init[k] = "building" /\ maker[k] # 0
  /\ init' = [init EXCEPT ![k] = "waiting"]
  /\ ready' = ready \cup {k}
  /\ UNCHANGED <<path, disk, lock, cgroup, maker, guest, proc>>

\* Its channel has ended: nobody is there to be told.
InitGivesUp(k) ==
  /\ init[k] = "building" /\ maker[k] = 0
  /\ init' = [init EXCEPT ![k] = "dead"]
  /\ UNCHANGED <<path, disk, lock, cgroup, maker, guest, proc, ready>>

\* Whether it still lives or not.
CreateHearsReady(p) ==
  /\ At(p, {"create"}, "cloned") /\ proc[p].k \in ready
  /\ ready' = ready \ {proc[p].k}
  /\ Goes(p, "ready")
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest>>

CreateSaves(p) ==
  /\ At(p, {"create"}, "ready")
  /\ disk' = [disk EXCEPT ![proc[p].fd] = [phase |-> "created", init |-> proc[p].k]]
  /\ Goes(p, "saved")
  /\ UNCHANGED <<path, lock, cgroup, init, maker, guest, ready>>

CreateEnds(p) ==
  /\ At(p, {"create"}, "saved")
  /\ lock' = Unlocked(p) /\ maker' = WithoutMaker(p) /\ Ends(p)
  /\ UNCHANGED <<path, disk, cgroup, init, guest, ready>>

\* The rollback up to where it takes the directory away, which is "removing" below.
Undoes(p) ==
  /\ init' = Killed(proc[p].k) /\ guest' = Emptied(proc[p].k)
  /\ maker' = WithoutMaker(p) /\ ready' = Unheard(p)
  /\ cgroup' = IF proc[p].pc = "locked" THEN cgroup ELSE FALSE
  /\ Goes(p, "removing")
  /\ UNCHANGED <<path, disk, lock>>

CreateLosesInit(p) ==
  /\ At(p, {"create"}, "cloned") /\ init[proc[p].k] = "dead" /\ proc[p].k \notin ready
  /\ Undoes(p)

CreateFails(p) ==
  /\ "fail" \in Faults
  /\ proc[p].cmd = "create" /\ proc[p].pc \in {"locked", "announced", "cloned", "ready", "saved"}
  /\ Undoes(p)

\* With rmdir, which takes no directory that has something in it.
CreateFailsEarly(p) ==
  /\ "fail" \in Faults
  /\ proc[p].cmd = "create" /\ proc[p].pc \in {"made", "opened"}
  /\ path' = IF path # 0 /\ disk[path].phase = "none" THEN 0 ELSE path
  /\ Ends(p)
  /\ UNCHANGED <<disk, lock, cgroup, init, maker, guest, ready>>

-----------------------------------------------------------------------------
(* start, kill, exec *)

Start(p) ==
  /\ MayLaunch(p, "start") /\ path # 0
  /\ proc' = Launched(p, "start", "opened", path, 0)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

StartLocks(p) ==
  /\ At(p, {"start"}, "opened") /\ (lock[proc[p].fd] = 0 \/ Broken = "start without the lock")
  /\ disk[proc[p].fd].phase # "none" /\ Status(proc[p].fd) = "created"
  /\ lock' = [lock EXCEPT ![proc[p].fd] = p]
  /\ proc' = [proc EXCEPT ![p].pc = "judged", ![p].k = disk[proc[p].fd].init]
  /\ UNCHANGED <<path, disk, cgroup, init, maker, guest, ready>>

StartIsRefused(p) ==
  /\ At(p, {"start"}, "opened") /\ lock[proc[p].fd] = 0
  /\ disk[proc[p].fd].phase = "none" \/ Status(proc[p].fd) # "created"
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

StartReleases(p) ==
  /\ At(p, {"start"}, "judged") /\ init[proc[p].k] = "waiting"
  /\ init' = [init EXCEPT ![proc[p].k] = "running"]
  /\ Goes(p, "released")
  /\ UNCHANGED <<path, disk, lock, cgroup, maker, guest, ready>>

\* Nobody listens any more: it is dead, or was let go by a `start` that could not say so. What is left is for `delete`.
StartFindsNone(p) ==
  /\ At(p, {"start"}, "judged") /\ init[proc[p].k] # "waiting"
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<path, disk, cgroup, init, maker, guest, ready>>

StartEnds(p) ==
  /\ At(p, {"start"}, "released")
  /\ disk' = [disk EXCEPT ![proc[p].fd].phase = "running"]
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<path, cgroup, init, maker, guest, ready>>

\* Before the init has heard of it nothing has happened.
StartFailsEarly(p) ==
  /\ "fail" \in Faults /\ At(p, {"start"}, "judged")
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<path, disk, cgroup, init, maker, guest, ready>>

\* A process that runs while its state says otherwise would be nobody's.
StartFails(p) ==
  /\ "fail" \in Faults /\ At(p, {"start"}, "released")
  /\ Goes(p, "killing")
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

\* No lock: the process is held by a descriptor before the signal is sent.
Kill(p) ==
  /\ MayLaunch(p, "kill") /\ path # 0 /\ disk[path].phase # "none" /\ Alive(disk[path].init)
  /\ proc' = Launched(p, "kill", "aimed", 0, disk[path].init)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

KillEnds(p) ==
  /\ At(p, {"kill"}, "aimed")
  /\ init' = Killed(proc[p].k) /\ guest' = Emptied(proc[p].k)
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, maker, ready>>

Exec(p) ==
  /\ MayLaunch(p, "exec") /\ path # 0 /\ disk[path].phase \in {"created", "running"} /\ Alive(disk[path].init)
  /\ proc' = Launched(p, "exec", "joining", 0, disk[path].init)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

ExecEnds(p) ==
  /\ At(p, {"exec"}, "joining") /\ Alive(proc[p].k)
  /\ guest' = [guest EXCEPT ![proc[p].k] = TRUE]
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, ready>>

ExecFindsNone(p) ==
  /\ At(p, {"exec"}, "joining") /\ ~Alive(proc[p].k)
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

ExecFails(p) ==
  /\ "fail" \in Faults /\ At(p, {"exec"}, "joining")
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

-----------------------------------------------------------------------------
(* delete, with and without --force *)

Deletes == {"delete", "force"}

\* With --force the directory is looked for a second time where there is none.
Delete(p, c) ==
  /\ MayLaunch(p, c) /\ (path # 0 \/ c = "force")
  /\ proc' = Launched(p, c, IF path = 0 THEN "again" ELSE "opened", path, 0)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

DeletePlainly(p) == Delete(p, "delete")
DeleteByForce(p) == Delete(p, "force")

\* What is there to be judged, by whoever has the lock.
Condemns(p) ==
  /\ disk[proc[p].fd].phase # "none"
  /\ proc[p].cmd = "force" \/ Status(proc[p].fd) \in {"stopped", "created"}

DeleteLocks(p) ==
  /\ At(p, Deletes, "opened") /\ lock[proc[p].fd] = 0
  /\ Condemns(p)
  /\ lock' = [lock EXCEPT ![proc[p].fd] = p]
  /\ proc' = [proc EXCEPT ![p].pc = "killing", ![p].k = disk[proc[p].fd].init]
  /\ UNCHANGED <<path, disk, cgroup, init, maker, guest, ready>>

DeleteIsRefused(p) ==
  /\ At(p, {"delete"}, "opened") /\ lock[proc[p].fd] = 0
  /\ ~Condemns(p)
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

\* No state that can be read: the lock is let go, and the directory is looked for once more.
DeleteReadsNothing(p) ==
  /\ At(p, {"force"}, "opened") /\ lock[proc[p].fd] = 0
  /\ disk[proc[p].fd].phase = "none"
  /\ proc' = [proc EXCEPT ![p].pc = "again", ![p].fd = 0]
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

DeleteOpensAgain(p) ==
  /\ At(p, {"force"}, "again") /\ path # 0
  /\ proc' = [proc EXCEPT ![p].pc = "reopened", ![p].fd = path]
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

DeleteFindsNone(p) ==
  /\ At(p, {"force"}, "again") /\ path = 0
  /\ Ends(p)
  /\ UNCHANGED <<path, disk, lock, cgroup, init, maker, guest, ready>>

\* Meanwhile a container may have come to be in it. Where it has gone instead, nothing of it is there to be removed.
DeleteLocksAgain(p) ==
  /\ At(p, {"force"}, "reopened") /\ lock[proc[p].fd] = 0
  /\ lock' = [lock EXCEPT ![proc[p].fd] = p]
  /\ proc' = [proc EXCEPT ![p].pc = IF disk[proc[p].fd].phase # "none" /\ Broken # "reads once" THEN "killing" ELSE "removing",
                          ![p].k = disk[proc[p].fd].init]
  /\ UNCHANGED <<path, disk, cgroup, init, maker, guest, ready>>

\* From here on the same for delete, for a start that has failed, and for a create that takes back.
Kills(p) ==
  /\ proc[p].pc = "killing"
  /\ init' = Killed(proc[p].k) /\ guest' = Emptied(proc[p].k)
  /\ Goes(p, "killed")
  /\ UNCHANGED <<path, disk, lock, cgroup, maker, ready>>

RemovesCgroups(p) ==
  /\ proc[p].pc = "killed"
  /\ cgroup' = FALSE
  /\ Goes(p, "removing")
  /\ UNCHANGED <<path, disk, lock, init, maker, guest, ready>>

RemovesFiles(p) ==
  /\ proc[p].pc = "removing"
  /\ disk' = [disk EXCEPT ![proc[p].fd] = Nothing]
  /\ proc' = [proc EXCEPT ![p].pc = "emptied", ![p].k = 0]
  /\ UNCHANGED <<path, lock, cgroup, init, maker, guest, ready>>

RemovesDirectory(p) ==
  /\ proc[p].pc = "emptied"
  /\ path' = IF path = proc[p].fd THEN 0 ELSE path
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<disk, cgroup, init, maker, guest, ready>>

\* An error in the middle: said again, it goes on from there.
RemovalFails(p) ==
  /\ "fail" \in Faults
  /\ proc[p].cmd \in Deletes /\ proc[p].pc \in {"killing", "killed", "removing", "emptied"}
  /\ lock' = Unlocked(p) /\ Ends(p)
  /\ UNCHANGED <<path, disk, cgroup, init, maker, guest, ready>>

-----------------------------------------------------------------------------
(* What may happen to anybody. *)

Crash(p) ==
  /\ "crash" \in Faults /\ proc[p].pc # "idle"
  /\ lock' = Unlocked(p) /\ maker' = WithoutMaker(p) /\ ready' = Unheard(p) /\ Ends(p)
  /\ UNCHANGED <<path, disk, cgroup, init, guest>>

InitDies(k) ==
  /\ "death" \in Faults /\ init[k] # "dead"
  /\ init' = Killed(k) /\ guest' = Emptied(k)
  /\ UNCHANGED <<path, disk, lock, cgroup, maker, proc, ready>>

Steps(p) ==
  \/ CreateOpens(p) \/ CreateFindsNone(p) \/ CreateLocks(p) \/ CreateIsLate(p) \/ CreateAnnounces(p) \/ CreateLosesDirectory(p)
  \/ CreateClones(p) \/ CreateHearsReady(p) \/ CreateLosesInit(p) \/ CreateSaves(p) \/ CreateEnds(p)
  \/ StartLocks(p) \/ StartIsRefused(p) \/ StartReleases(p) \/ StartFindsNone(p) \/ StartEnds(p)
  \/ KillEnds(p) \/ ExecEnds(p) \/ ExecFindsNone(p)
  \/ DeleteLocks(p) \/ DeleteIsRefused(p) \/ DeleteReadsNothing(p) \/ DeleteOpensAgain(p) \/ DeleteFindsNone(p)
  \/ DeleteLocksAgain(p)
  \/ Kills(p) \/ RemovesCgroups(p) \/ RemovesFiles(p) \/ RemovesDirectory(p)

InitSteps(k) == InitIsReady(k) \/ InitGivesUp(k)

Next ==
  \/ \E p \in P :
     \/ Create(p) \/ Start(p) \/ Kill(p) \/ Exec(p) \/ DeletePlainly(p) \/ DeleteByForce(p)
     \/ Steps(p)
     \/ CreateFails(p) \/ CreateFailsEarly(p) \/ StartFailsEarly(p) \/ StartFails(p) \/ ExecFails(p) \/ RemovalFails(p)
     \/ Crash(p)
  \/ \E k \in K : InitSteps(k) \/ InitDies(k)

\* Whoever can go on does so at last; of those that wait for a lock each gets it at last.
Spec == /\ Init /\ [][Next]_vars
        /\ \A p \in P : SF_vars(Steps(p))
        /\ \A k \in K : WF_vars(InitSteps(k))

-----------------------------------------------------------------------------
(* The promises. *)

TypeOK ==
  /\ path \in 0 .. Inodes
  /\ disk \in [I -> [phase : {"none", "creating", "created", "running"}, init : 0 .. Procs + 1]]
  /\ lock \in [I -> 0 .. Procs]
  /\ cgroup \in BOOLEAN
  /\ init \in [K -> {"dead", "building", "waiting", "running"}]
  /\ maker \in [K -> 0 .. Procs]
  /\ guest \in [K -> BOOLEAN]

\* One that has lost its maker runs nothing of the container and ends by itself.
Inits == {k \in K : init[k] \in {"waiting", "running"} \/ (init[k] = "building" /\ maker[k] # 0)}

NeverTwoInits == Cardinality(Inits) <= 1

\* Whatever can run is named by the state that everybody reads.
NobodyIsForgotten == \A k \in Inits : path # 0 /\ disk[path].phase # "none" /\ disk[path].init = k

\* No directory, then nothing at all.
NothingIsLeft == path = 0 => cgroup = FALSE /\ \A k \in K : ~guest[k] /\ init[k] # "running" /\ init[k] # "waiting"

\* The state never says that something runs before it was let go.
StateIsTrue == path # 0 /\ disk[path].phase = "running" => init[disk[path].init] \in {"running", "dead"}

GuestsHaveInit == \A k \in K : guest[k] => Alive(k)

\* Whatever has happened before: a delete --force that nobody disturbs ends clean, in a number of steps of its own.
ForceEndsClean ==
  [][\A p \in P : proc[p].cmd = "force" /\ proc[p].solo /\ proc[p].pc # "idle" /\ proc'[p].pc = "idle" /\ Steps(p)
       => path' = 0 /\ cgroup' = FALSE /\ \A k \in K : init'[k] \in {"dead", "building"}]_vars

\* Everything that is launched ends, unless what it waits for is a command that never goes on.
EveryCommandEnds == \A p \in P : proc[p].pc # "idle" ~> proc[p].pc = "idle"

THEOREM Spec => []TypeOK /\ []NeverTwoInits /\ []NobodyIsForgotten /\ []NothingIsLeft /\ []StateIsTrue /\ []GuestsHaveInit
                /\ ForceEndsClean /\ EveryCommandEnds
=============================================================================
