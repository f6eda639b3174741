// Two seccomp filters as one that answers what the stricter of the two would. Inside runtime, and for tests.
//
// Loaded one after the other they would do the same, but the one that is loaded first may forbid to load the second.
#pragma once

#include "runtime/confine/confine.h"

namespace nucleus::confine {

// The program runs `first` and then `second` on the same data. It returns the answer of higher precedence (seccomp(2),
// "return values": kill before trap before errno ... before allow), the second's where both are of the same kind, as
// the kernel does for filters that were loaded in this order. Errors: E2BIG when it is longer than the kernel takes;
// EINVAL when both want a listener, of which a process can have one, or a program is not of the kind that libseccomp
// makes (constant answers, no scratch memory).
Result<SeccompProgram> JoinFilters(const SeccompProgram& first, const SeccompProgram& second);

}  // namespace nucleus::confine
