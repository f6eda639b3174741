// The facts about this host that planning depends on.
#pragma once

#include "base/error.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

// The LSMs are looked up where `labels` says that one is asked for.
Result<plan::Host> ReadHost(bool with_cgroups, bool labels);

// Does a bundle, or a process, ask for an LSM's label?
bool AsksForLabels(const oci::Linux& container, const oci::Process* process);

}  // namespace nucleus::container
