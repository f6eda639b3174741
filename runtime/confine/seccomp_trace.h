// The filter of a traced container: every system call is told to the tracer, which lets it go on.
#pragma once

#include <array>

#include "runtime/confine/confine.h"

namespace nucleus::confine {

// Not told are the calls that end a process or return from a signal: an interrupted answer to these would change what
// the program does, and every profile has them. Names of libseccomp.
inline constexpr auto kUntraced =
    std::to_array<const char*>({"exit", "exit_group", "restart_syscall", "rt_sigreturn", "sigreturn"});

// `policies` (empty: none), with what they allow, log or trace told to the tracer in place of that; what they refuse is
// refused. E2BIG where it becomes longer than the kernel takes; they must have no listener of their own.
// With SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV where this kernel has it (5.19): a call that the tracer has read is not
// interrupted by a signal any more.
Result<SeccompProgram> WithTrace(SeccompProgram policies);

}  // namespace nucleus::confine
