------------------------------- MODULE Egress -------------------------------
(* What a container may send to while names are resolved, addresses expire, the *)
(* policy is exchanged and the gate's processes die (runtime/egress).           *)
(*                                                                              *)
(* The firewall's table is in the kernel: it stays whoever dies. A name that is *)
(* allowed has a set in it, whose elements have timeouts. The gate is two       *)
(* processes that live and die together: the parser, which asks servers and     *)
(* answers the container, and the setter, which puts addresses into the sets.   *)
(* A packet leaves when some set has its address; nothing else lets it out.     *)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Names, Addresses,
  Policies,  \* sets of names that may be allowed; another one may take the place of the one in force
  Life,      \* ticks that an element of a set has; an answer that is passed on has one less
  Broken     \* "none", or the name of the flaw that the checker has to find

VARIABLES
  loaded,  \* whether the table is there
  uplink,  \* whether anything leads out of the namespace
  policy,  \* the names that the table has sets for
  known,   \* the names that the gate answers
  sets,    \* name -> address -> ticks that are left; 0: not in it
  gate,    \* whether its processes are there
  query,   \* the one that is under way: [at, name, address]
  told     \* name -> address -> ticks for which the container holds it for good, since the policy in force allows it

vars == <<loaded, uplink, policy, known, sets, gate, query, told>>

NoQuery == [at |-> "none", name |-> "-", address |-> "-"]
None == [n \in Names |-> [a \in Addresses |-> 0]]

Init ==
  /\ loaded = FALSE /\ uplink = FALSE
  /\ policy \in Policies /\ known = policy
  /\ sets = None /\ told = None
  /\ gate = FALSE /\ query = NoQuery

\* One batch: all of it is there or nothing.
Loads == /\ ~loaded /\ loaded' = TRUE
         /\ UNCHANGED <<uplink, policy, known, sets, gate, query, told>>
Attaches == /\ ~uplink /\ (loaded \/ Broken = "uplink first") /\ uplink' = TRUE
            /\ UNCHANGED <<loaded, policy, known, sets, gate, query, told>>

\* Also after a death: as it was.
GateStarts == /\ loaded /\ ~gate /\ gate' = TRUE /\ query' = NoQuery
              /\ UNCHANGED <<loaded, uplink, policy, known, sets, told>>

\* Either process: the other one goes with it, and so does what was under way.
GateDies == /\ gate /\ gate' = FALSE
            /\ query' = IF Broken = "grants when dead" THEN query ELSE NoQuery
            /\ UNCHANGED <<loaded, uplink, policy, known, sets, told>>

\* Of a name that it does not know nobody is asked: REFUSED.
Asks(n) == /\ gate /\ query.at = "none" /\ n \in known
           /\ query' = [at |-> "asked", name |-> n, address |-> "-"]
           /\ UNCHANGED <<loaded, uplink, policy, known, sets, gate, told>>

\* The server may say any address for any name.
Replies(a) == /\ query.at = "asked" /\ gate
              /\ query' = [query EXCEPT !.at = IF Broken = "passes first" THEN "granted" ELSE "replied", !.address = a]
              /\ UNCHANGED <<loaded, uplink, policy, known, sets, gate, told>>

Lives == IF Broken = "no margin" THEN Life - 2 ELSE Life

Grants == /\ query.at = "replied" /\ (gate \/ Broken = "grants when dead") /\ known = policy
          /\ sets' = [sets EXCEPT ![query.name][query.address] = Lives]
          /\ query' = [query EXCEPT !.at = "granted"]
          /\ UNCHANGED <<loaded, uplink, policy, known, gate, told>>

\* The new table has new sets, which the gate of the old policy does not know: the kernel says so, and nothing is answered.
GrantFails == /\ query.at = "replied" /\ gate /\ known # policy
              /\ query' = NoQuery
              /\ UNCHANGED <<loaded, uplink, policy, known, sets, gate, told>>

Passes == /\ query.at = "granted" /\ gate
          /\ told' = IF query.name \in policy THEN [told EXCEPT ![query.name][query.address] = Life - 1] ELSE told
          /\ query' = NoQuery
          /\ UNCHANGED <<loaded, uplink, policy, known, sets, gate>>

\* Between a grant and its answer less time passes than the margin: the model's tick is that margin.
Tick == /\ query.at \notin {"granted"}
        /\ sets' = [n \in Names |-> [a \in Addresses |-> IF sets[n][a] > 0 THEN sets[n][a] - 1 ELSE 0]]
        /\ told' = [n \in Names |-> [a \in Addresses |-> IF told[n][a] > 0 THEN told[n][a] - 1 ELSE 0]]
        /\ sets' # sets
        /\ UNCHANGED <<loaded, uplink, policy, known, gate, query>>

\* The new table in one batch, with the elements of the names that both have; then the gate learns of it.
Kept(map, next) == [n \in Names |-> IF n \in next THEN map[n] ELSE [a \in Addresses |-> 0]]
SwapsTable(next) ==
  /\ loaded /\ gate /\ policy = known /\ next # policy
  /\ policy' = next
  /\ sets' = IF Broken = "keeps all" THEN sets ELSE Kept(sets, next)
  /\ told' = Kept(told, next)
  /\ UNCHANGED <<loaded, uplink, known, gate, query>>

SwapsGate == /\ known # policy /\ known' = policy /\ gate' = TRUE /\ query' = NoQuery
             /\ UNCHANGED <<loaded, uplink, policy, sets, told>>

Next ==
  \/ Loads \/ Attaches \/ GateStarts \/ GateDies \/ Grants \/ GrantFails \/ Passes \/ Tick \/ SwapsGate
  \/ \E n \in Names : Asks(n)
  \/ \E a \in Addresses : Replies(a)
  \/ \E next \in Policies : SwapsTable(next)

Spec == Init /\ [][Next]_vars /\ WF_vars(Tick) /\ WF_vars(Grants) /\ WF_vars(GrantFails) /\ WF_vars(Passes) /\ WF_vars(SwapsGate)

-----------------------------------------------------------------------------
\* What gets out: with no table, everything.
Leaves(a) == uplink /\ (~loaded \/ \E n \in Names : sets[n][a] > 0)

\* Only to an address that the policy in force allows at that moment.
OnlyWhatIsAllowed == \A a \in Addresses : Leaves(a) => \E n \in policy : sets[n][a] > 0

NoWayOutFirst == uplink => loaded

\* What the container was told works for as long as it was told, unless the policy has changed: the address was in the set
\* before the answer was passed on, and stays longer.
ToldIsGranted == \A n \in Names, a \in Addresses : told[n][a] <= sets[n][a]

\* Without the gate nothing is allowed anew, and what is allowed runs out.
DeathMeansDeny == [][gate \/ \A n \in Names, a \in Addresses : sets'[n][a] <= sets[n][a]]_vars
RunsOut == <>[](~gate) => <>[](sets = None)

THEOREM Spec => []OnlyWhatIsAllowed /\ []NoWayOutFirst /\ []ToldIsGranted /\ DeathMeansDeny /\ RunsOut

-----------------------------------------------------------------------------
\* For the walk: the first three steps in the order that the program has, and nothing in between.
InOrder == uplink \/ (~loaded /\ loaded') \/ (loaded /\ ~gate /\ gate') \/ (gate /\ uplink')
FromAll == Init /\ policy = Names
=============================================================================
