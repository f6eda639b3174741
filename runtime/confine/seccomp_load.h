// Loading a compiled filter, and handing its listener to the agent. Inside runtime/confine only.
#pragma once

#include "runtime/confine/confine.h"

namespace nucleus::confine {

// Loads `program` into this process. With a listener, its descriptor goes to `listener_socket` (connected already) with
// `listener_state` as the message; the filter may hold back any syscall until the agent answers, the ones that would
// hand the listener over among them, so a helper that is not under the filter does that.
Result<> LoadFilter(const SeccompProgram& program, int listener_socket, const std::string& listener_state);

}  // namespace nucleus::confine
