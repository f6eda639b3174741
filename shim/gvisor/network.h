// The network namespace of a sandbox: nucleus's own, prepared before runsc is started, so that nothing can be sent
// before the rules are there. With dev.nucleus.gvisor.network none there is none of this.
#pragma once

#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/annotations.h"
#include "oci-config/state.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/plan/plan.h"
#include "shim/gvisor/runsc.h"

namespace nucleus::gvisor {

// An error where gVisor's network cannot be had, or would get around what the bundle asks for.
Result<> CheckNetwork(const oci::Annotations& annotations, const plan::Plan& plan, const Abilities& abilities);

// Of a sandbox that uses none of the namespaces that config.json names: what a mode forbids is not there to be named.
Result<> CheckNamespaces(const plan::Plan& plan);

// The one that config.json makes or names, as a descriptor. Empty: the host's, where the bundle lists none. gVisor's
// own stack takes the addresses off the links that it finds: the host's namespace, by whatever path, is refused to it.
Result<Fd> PrepareNamespace(const oci::Annotations& annotations, const plan::Plan& plan);

// Where a mode denies everything and no rule is there to do so: nothing may lead out of the sandbox's namespace.
Result<> CheckUplinks(const oci::State& state);

// Two processes in the container's cgroups that are there before the sandbox: one that nucleus-net takes for the
// container's init, and one that watches. They end with the sandbox, and the sandbox with the first of them.
class Keeper {
 public:
  static Result<Keeper> Start(const cgroup::Doors& doors);
  Keeper(Keeper&&) noexcept = default;
  Keeper& operator=(Keeper&&) noexcept = default;
  // One that was told of no sandbox ends.
  ~Keeper() = default;
  [[nodiscard]] int pidfd() const {
    return pidfd_.get();
  }
  // From here on they end when that process does, and it with them.
  Result<> Follow(int sandbox);

 private:
  Keeper() = default;
  Fd pidfd_;
  Fd channel_;
};

}  // namespace nucleus::gvisor
