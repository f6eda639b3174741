// The process that becomes a container's init: carries the Plan out and decides nothing.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "oci-config/state.h"
#include "runtime/confine/confine.h"
#include "runtime/net/rule_image.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/rootfs.h"

namespace nucleus::container {

// Begins the error where the rules could not be loaded, here or by the runtime.
inline constexpr const char* kRulesFailed = "egress";

// What the child inherits besides the Plan. All descriptors are close-on-exec.
struct ChildInput {
  const plan::Plan* plan = nullptr;
  const cgroup::Host* cgroup_host = nullptr;
  // Namespaces to join after clone, opened by the runtime; parallel to plan->namespaces.join, empty where the runtime
  // or the joining helper has done it.
  std::vector<Fd> joins;
  std::vector<Fd> sources;    // of mounts, where the runtime has opened them; parallel to the plan's, or shorter
  rootfs::VerifiedRoot root;  // of an attested one
  const net::RuleImage* rules = nullptr;  // for its network namespace; null: the runtime sees to that, or nobody
  std::string rules_handle;               // of the table, once they are loaded and read back
  bool show_network = false;              // nucleus-net sees to it, in the namespaces that the init has to show
  int channel = -1;
  int start_listener = -1;
  const confine::SeccompProgram* filter = nullptr;  // where it was known before the clone; else it comes through this:
  const confine::SharedProgram* program = nullptr;
  int tracer = -1;  // socket that takes the filter's listener, where the plan is traced
  int preserve_fds = 0;
  bool enter_v1_cgroups = false;  // they are there once the runtime says so; else the process is in its cgroups already
  bool await_scope = false;       // systemd moves this process first; until it is said where to, nothing is done
  oci::State state;               // for hooks and the seccomp agent; the pid comes from the runtime
};

// An ordinary user's init has to open itself before the runtime can write its mappings, and says when it has; root's
// are written at once.
inline bool SaysWhenMappable(const oci::State& state) {
  return state.owner != 0;
}

// Never returns: becomes the workload, or reports an error and exits with status 1.
[[noreturn]] void RunChild(ChildInput& input);

// Shared with exec: reports `error` on `channel` and exits.
[[noreturn]] void FailChild(int channel, const Error& error);

}  // namespace nucleus::container
