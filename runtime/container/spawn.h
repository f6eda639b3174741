// Makes the process that becomes a container's init, inside the namespaces that the plan lists.
#pragma once

#include <functional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

struct Spawned {
  pid_t pid = 0;
  Fd pidfd;
};

// An error where a sysctl of the plan is local to a namespace that is joined and is this process's own: it would be the
// host's. `joins` is parallel to plan.namespaces.join.
Result<> CheckJoinedSysctls(const plan::Plan& plan, const std::vector<Fd>& joins);

// An error where a namespace that is joined is the runtime's own, and the plan wants none of the host's.
Result<> CheckOwnNamespaces(const plan::Plan& plan, const std::vector<Fd>& joins);

// The same of linux.netDevices: there would be nothing to move.
Result<> CheckJoinedNetwork(const plan::Plan& plan, const std::vector<Fd>& joins);

// Opens the namespaces to join and checks that each is of the type it is listed as.
Result<std::vector<Fd>> OpenJoins(const plan::Namespaces& namespaces);

// Clones; `child` runs in the new process and must not return. It gets those of `joins` that are still to be joined.
// Where a user namespace is joined, or one is made next to others that are joined, a helper process joins first and
// clones the init as a child of this process. `cgroup_fd` < 0: none.
Result<Spawned> Spawn(const plan::Namespaces& namespaces, std::vector<Fd> joins, int cgroup_fd,
                      const std::function<void(std::vector<Fd> joins)>& child);

}  // namespace nucleus::container
