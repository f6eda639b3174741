// Id mappings: of the container's user namespace, and namespaces that only carry mappings for idmapped mounts.
// Source: user_namespaces(7), mount_setattr(2).
#pragma once

#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

// Writes the mappings of the plan to `pid`'s new user namespace, in which nothing is mapped yet: directly, or through
// newuidmap(1) and newgidmap(1) where the plan says so.
Result<> WriteIdMappings(pid_t pid, const plan::Plan& plan);

// The sources of the plan's idmapped mounts: detached copies with their mapping, made here because it takes privilege
// over the source's filesystem that the container's user namespace does not have. Parallel to plan.rootfs.mounts; empty
// for the other mounts.
Result<std::vector<Fd>> OpenIdmappedSources(const plan::Plan& plan);

}  // namespace nucleus::container
