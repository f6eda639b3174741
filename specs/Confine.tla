------------------------------ MODULE Confine ------------------------------
(* The last stretch of a process that enters a container, which the container's *)
(* init and every process of `exec` go (runtime/container/process.cpp): who it   *)
(* is, what it may, which rules and which filter it is under, which descriptors  *)
(* it has, when the workload's image takes its place.                            *)
(*                                                                               *)
(* The kernel's conditions are those of the steps: a domain or a filter is taken *)
(* by who has no_new_privs or CAP_SYS_ADMIN, an identity is changed by who still *)
(* has the capabilities for it, and what a filter refuses can be done no more.   *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Asks,     \* what bundles ask for: sets of "nnp", "landlock", "seccomp"
  MayFail,  \* whether a step may fail
  Broken    \* "none", or the name of the flaw that the checker has to find

Who == {"init", "exec"}

VARIABLES
  ask,      \* what the bundle asks for
  p         \* of each of the two processes: what is in force for it

vars == <<ask, p>>

Born == [at |-> "none", user |-> "root", caps |-> "all", nnp |-> FALSE, rules |-> FALSE, domain |-> FALSE,
         filter |-> FALSE, inherits |-> TRUE]

Init == ask = {"none"} /\ p = [w \in Who |-> Born]

Begin(a) == ask = {"none"} /\ ask' = a /\ UNCHANGED p

Stretch == <<"child.landlock", "child.confine", "child.lookup", "child.finish", "child.landlock-enter", "child.seccomp",
             "child.exec", "workload">>

\* Points that a process does not come to.
Skips(w, at) == \/ at \in {"child.landlock", "child.landlock-enter"} /\ "landlock" \notin ask
                \/ at = "child.seccomp" /\ ("seccomp" \notin ask \/ (Broken = "exec has no filter" /\ w = "exec"))
RECURSIVE After(_, _)
After(w, i) == IF Skips(w, Stretch[i]) THEN After(w, i + 1) ELSE Stretch[i]
Number(at) == CHOOSE i \in 1 .. Len(Stretch) : Stretch[i] = at
Following(w) == After(w, Number(p[w].at) + 1)

\* exec joins a container that is there.
Enters(w) ==
  /\ p[w].at = "none" /\ ask # {"none"}
  /\ w = "exec" => p["init"].at = "workload"
  /\ p' = [p EXCEPT ![w].at = After(w, 1)]
  /\ UNCHANGED ask

Goes(w, from) == p[w].at = from
NeedsAdmin == ask \cap {"landlock", "seccomp"} # {} /\ "nnp" \notin ask
MayConfine(w) == p[w].nnp \/ p[w].caps # "wanted"

\* The ruleset is made with the runtime's rights: a rule's path may be closed to the user.
MakesRules(w) ==
  /\ Goes(w, "child.landlock") /\ p[w].user = "root"
  /\ p' = [p EXCEPT ![w].rules = TRUE, ![w].at = Following(w)]
  /\ UNCHANGED ask

\* The bounding set, the identity, the other sets, no_new_privs. One capability is kept up to execve, which takes it,
\* where there is something yet to enter that asks for it.
ChangesIdentity(w) ==
  /\ Goes(w, "child.confine")
  /\ p' = [p EXCEPT ![w].user = "user", ![w].nnp = "nnp" \in ask,
                    ![w].caps = IF NeedsAdmin /\ Broken # "drops all" THEN "wanted and admin" ELSE "wanted", ![w].at = Following(w)]
  /\ UNCHANGED ask

\* The executable is found; the init waits here for start. Then every descriptor but those that are handed in is marked.
Finds(w) ==
  /\ Goes(w, "child.lookup")
  /\ p' = [p EXCEPT ![w].inherits = (Broken = "descriptor"), ![w].at = Following(w)]
  /\ UNCHANGED ask

Finishes(w) ==
  /\ Goes(w, "child.finish")
  /\ p' = [p EXCEPT ![w].at = Following(w)]
  /\ UNCHANGED ask

EntersDomain(w) ==
  /\ Goes(w, "child.landlock-enter") /\ p[w].rules /\ MayConfine(w)
  /\ p' = [p EXCEPT ![w].domain = TRUE, ![w].at = Following(w)]
  /\ UNCHANGED ask

LoadsFilter(w) ==
  /\ Goes(w, "child.seccomp") /\ MayConfine(w)
  /\ p' = [p EXCEPT ![w].filter = TRUE, ![w].at = Following(w)]
  /\ UNCHANGED ask

\* execve computes the capabilities anew from the sets that were set, and closes what is marked.
Executes(w) ==
  /\ Goes(w, "child.exec")
  /\ p' = [p EXCEPT ![w].caps = "wanted", ![w].at = "workload"]
  /\ UNCHANGED ask

Steps(w) == \/ Enters(w) \/ MakesRules(w) \/ ChangesIdentity(w) \/ Finds(w) \/ Finishes(w) \/ EntersDomain(w)
            \/ LoadsFilter(w) \/ Executes(w)

Fails(w) ==
  /\ MayFail /\ p[w].at \notin {"none", "workload", "ended"}
  /\ p' = [p EXCEPT ![w].at = "ended"]
  /\ UNCHANGED ask

Next == (\E a \in Asks : Begin(a)) \/ \E w \in Who : Steps(w) \/ Fails(w)
Spec == Init /\ [][Next]_vars /\ \A w \in Who : WF_vars(Steps(w))

-----------------------------------------------------------------------------
\* Nothing of the workload runs in a process that is not all that was asked for.
Confined(q) ==
  /\ q.user = "user" /\ q.caps = "wanted" /\ ~q.inherits
  /\ q.nnp = ("nnp" \in ask) /\ ("landlock" \in ask => q.domain) /\ ("seccomp" \in ask => q.filter)
ConfinedFirst == \A w \in Who : p[w].at = "workload" => Confined(p[w])

\* The filter is the last: nothing that it may refuse is left to be done but execve.
FilterIsLast == \A w \in Who : p[w].filter => p[w].user = "user" /\ ~p[w].inherits /\ ("landlock" \in ask => p[w].domain)

\* A process that joins is never less confined than the one that it joins.
NeverLess == \A w \in Who : p["exec"].at = "workload" =>
               /\ p["init"].domain => p["exec"].domain
               /\ p["init"].filter => p["exec"].filter
               /\ p["init"].nnp => p["exec"].nnp
               /\ p["exec"].caps = p["init"].caps

\* The order never leads to where a step is no more allowed.
ItRuns == \A w \in Who : p[w].at # "none" ~> p[w].at \in {"workload", "ended"}

THEOREM Spec => []ConfinedFirst /\ []FilterIsLast /\ []NeverLess /\ ItRuns
=============================================================================
