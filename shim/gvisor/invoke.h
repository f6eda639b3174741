// A run of runsc: of a descriptor, with nothing inherited but what is given here, for a bounded time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "oci-config/state.h"
#include "runtime/cgroup/cgroup.h"
#include "shim/gvisor/confine.h"

namespace nucleus::gvisor {

struct Invocation {
  int program = -1;
  std::vector<std::string> arguments;  // after argv[0]
  // The cgroups that it is born in; null: this process's.
  const cgroup::Doors* doors = nullptr;
  // A mount namespace of its own, in which `prepare` is called.
  std::function<Result<>()> prepare;
  // Where it is executed, after `prepare`: paths that are relative to it are short, and need no process of nucleus's.
  std::string directory = "/";
  const Confinement* confinement = nullptr;
  // The caller's standard streams are the container's. Else: none, and what it writes is the result.
  bool streams = false;
};

struct Ended {
  int status = 0;  // of the process: 128 + n for a signal
  std::string output;
  std::vector<oci::Degradation> degradations;  // of its confinement
  // The last line of what it has said; "exit status N" where that is nothing.
  [[nodiscard]] std::string Said() const;
};

// An error where it does not come to its end within the time: it is killed. So it is when this process ends; what it
// has become by then (a sandbox) is not.
Result<Ended> RunToEnd(const Invocation& invocation, int timeout_ms);

}  // namespace nucleus::gvisor
