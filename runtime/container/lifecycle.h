// Which state a container is in, and which command may be said to it then: runtime.md "Lifecycle", as tables. Pure.
#pragma once

#include <string_view>

#include "base/error.h"
#include "oci-config/state.h"
#include "runtime/container/container.h"

namespace nucleus::container {

// From what state.json says was reached, and a look at the init. `frozen` means something only for one that is alive.
Status Judge(const oci::State& state, bool alive, bool frozen);

// Commands whose success depends on the status. `kill` is not among them: the signal itself finds out who is there.
enum class Command { kStart, kDelete, kPause, kResume, kExec, kExecIgnoringPause, kUpdate, kCheckpoint };

// Success, or the error with which the command ends. `delete --force` does not ask.
Result<> MayBeSaid(Command command, Status status, std::string_view id);

}  // namespace nucleus::container
