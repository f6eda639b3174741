// start, for a command that has the container open already. Inside runtime/container only.
#pragma once

#include "runtime/container/query.h"

namespace nucleus::container {

// Lets the waiting init of a container that was created execute; saves its state. The container is locked.
// `pidfd`: the init's, where the caller has it.
Result<> StartOpened(const Settings& settings, Opened& opened, int pidfd = -1);

}  // namespace nucleus::container
