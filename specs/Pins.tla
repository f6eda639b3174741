-------------------------------- MODULE Pins --------------------------------
(* A pinned file is opened, read, hashed, parsed and enforced while somebody    *)
(* else changes it in place, or puts another in its place, at any moment        *)
(* (policies/pinned_file.cpp). The file is read in two parts, so that a reader  *)
(* may get something that never was.                                            *)
(*                                                                              *)
(* Assumed of SHA-256: another content has another digest. Assumed of the       *)
(* filesystem: a change in place is seen in size, times or mode of the file     *)
(* that is open; without that a file without a digest could be read torn.       *)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Writes,  \* how many times somebody writes
  Digests, \* which of TRUE, FALSE: whether the pin has a digest
  Broken   \* "none", or the name of the flaw that the checker has to find

Files == 1 .. Writes + 1
Contents == {"reviewed", "other"}

VARIABLES
  pinned,   \* whether there is a digest; it is that of "reviewed"
  named,    \* the file that the path names
  content,  \* of each file
  changed,  \* how often that could be seen of each since
  writes,
  pc,       \* of the reader: the system call that comes next
  file,     \* which one it has open
  before,   \* how often that had been changed when it was looked at
  bytes     \* what was read; in the end what is enforced

vars == <<pinned, named, content, changed, writes, pc, file, before, bytes>>

Init ==
  /\ pinned = FALSE
  /\ named = 1 /\ content = [f \in Files |-> "reviewed"] /\ changed = [f \in Files |-> 0] /\ writes = 0
  /\ pc = "begin" /\ file = 0 /\ before = 0 /\ bytes = <<>>

Same == UNCHANGED <<pinned, named, content, changed, writes>>

Begin(d) == pc = "begin" /\ pc' = "open" /\ pinned' = d /\ UNCHANGED <<named, content, changed, writes, file, before, bytes>>

Opens == /\ pc = "open" /\ pc' = "look" /\ file' = named /\ UNCHANGED <<before, bytes>> /\ Same
Looks == /\ pc = "look" /\ pc' = "first" /\ before' = changed[file] /\ UNCHANGED <<file, bytes>> /\ Same
ReadsFirst == /\ pc = "first" /\ pc' = "second" /\ bytes' = <<content[file]>> /\ UNCHANGED <<file, before>> /\ Same
ReadsSecond == /\ pc = "second" /\ pc' = "again" /\ bytes' = <<bytes[1], content[file]>> /\ UNCHANGED <<file, before>> /\ Same

\* Whether it has changed since it was looked at; then the digest of what was read.
Accepts == /\ changed[file] = before
           /\ pinned => bytes = <<"reviewed", "reviewed">>
Takes == /\ pc = "again" /\ Accepts /\ pc' = "use"
         /\ UNCHANGED <<file, before, bytes>> /\ Same
Refuses == /\ pc = "again" /\ ~Accepts /\ pc' = "refused"
           /\ UNCHANGED <<file, before, bytes>> /\ Same

\* The very bytes are parsed; with the flaw, what the path names by now.
Uses == /\ pc = "use" /\ pc' = "enforced"
        /\ bytes' = IF Broken = "parses the file" THEN <<content[named], content[named]>> ELSE bytes
        /\ UNCHANGED <<file, before>> /\ Same

Writing == writes < Writes /\ pc \notin {"begin", "enforced", "refused"} /\ writes' = writes + 1
           /\ UNCHANGED <<pinned, pc, file, before, bytes>>
WritesInPlace == /\ Writing
                 /\ content' = [content EXCEPT ![named] = IF @ = "reviewed" THEN "other" ELSE "reviewed"]
                 /\ changed' = [changed EXCEPT ![named] = IF Broken = "times do not tell" THEN @ ELSE @ + 1]
                 /\ UNCHANGED named
Replaces == /\ Writing
            /\ \E f \in Files : f > named /\ f = named + 1 /\ named' = f
                 /\ content' = [content EXCEPT ![f] = IF content[named] = "reviewed" THEN "other" ELSE "reviewed"]
            \* The one that was there has lost a name, and that is seen in its times as well.
            /\ changed' = [changed EXCEPT ![named] = IF Broken = "times do not tell" THEN @ ELSE @ + 1]

Reads == Opens \/ Looks \/ ReadsFirst \/ ReadsSecond \/ Takes \/ Refuses \/ Uses
Next == (\E d \in Digests : Begin(d)) \/ Reads \/ WritesInPlace \/ Replaces
Spec == Init /\ [][Next]_vars /\ WF_vars(Reads)

-----------------------------------------------------------------------------
TypeOK == pc \in {"begin", "open", "look", "first", "second", "again", "use", "enforced", "refused"}

\* What is enforced is what was hashed.
WhatWasHashed == pc = "enforced" /\ pinned => bytes = <<"reviewed", "reviewed">>

\* Without a digest it is at least something that was in the file.
NeverTorn == pc = "enforced" => bytes[1] = bytes[2]

ItEnds == pc # "begin" ~> pc \in {"enforced", "refused"}

THEOREM Spec => []TypeOK /\ []WhatWasHashed /\ []NeverTorn /\ ItEnds
=============================================================================
