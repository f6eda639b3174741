// Mounts whose sources the runtime makes itself, before there is a container: the paths of a closure, and credentials.
#pragma once

#include "base/error.h"
#include "runtime/plan/plan.h"

namespace nucleus::plan {

// dev.nucleus.rootfs.closure: each path read-only, where it lies on the host. Comes after all other mounts are planned,
// and refuses one that it would hide.
Result<> PlanClosure(const Host& host, const policies::Policies& policies, Plan& plan);

// dev.nucleus.credentials: the mount, and the variable that names it.
Result<> PlanCredentials(const Options& options, const Host& host, Plan& plan);

}  // namespace nucleus::plan
