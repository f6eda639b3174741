#pragma once

#include <sys/types.h>

#include <optional>

#include "runtime/plan/plan.h"

namespace nucleus::plan {

// The host's id of the process's user, when the container's v2 cgroup is to be that user's: it has a cgroup namespace
// of its own and mounts the cgroup writable. It can then divide what it has; the limits themselves stay the host's.
// Source: config-linux.md "Cgroup ownership".
std::optional<uid_t> CgroupOwner(const Plan& plan);

}  // namespace nucleus::plan
