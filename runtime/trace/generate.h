// From what was traced to a profile that allows this and nothing else.
#pragma once

#include <string>

#include "runtime/trace/read.h"

namespace nucleus::trace {

// An OCI `linux.seccomp` object, indented, with a final newline. The same trace gives the same bytes. A call whose
// arguments matter is allowed with the values that were seen, each on its own, where these are few; what every process
// needs and no trace has (confine::kUntraced) is always allowed.
std::string GenerateProfile(const Trace& trace);

}  // namespace nucleus::trace
