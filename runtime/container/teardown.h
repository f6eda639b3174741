// The end of a container, however it comes.
#pragma once

#include "runtime/container/query.h"

namespace nucleus::container {

// Kills what is left of it, removes its cgroups, runs poststop, removes its state. Goes on past failures as far as it
// can and returns the first: what could not be removed can be tried again, the state that names it stays.
Result<> TearDown(const Settings& settings, Opened& opened);

}  // namespace nucleus::container
