// The facts about this host that planning depends on.
#pragma once

#include "base/error.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

Result<plan::Host> ReadHost(bool with_cgroups);

}  // namespace nucleus::container
