// What the commands share to look at a container. Inside runtime/container only.
#pragma once

#include "runtime/cgroup/cgroup.h"
#include "runtime/container/container.h"
#include "runtime/container/state_dir.h"

namespace nucleus::container {

// Is the init of `state` (pid and start time) a living process?
bool IsAlive(const oci::State& state);

// A pidfd of the init; "container not running" when it is gone.
Result<Fd> OpenInit(const oci::State& state);

Result<Status> StatusOf(const oci::State& state);

struct Opened {
  StateDir directory;
  oci::State state;
  Status status = Status::kStopped;
};

// Opens a container's directory and reads its state; with `lock`, other commands on it wait until the result is gone.
Result<Opened> OpenContainer(const Settings& settings, const std::string& id, bool lock);

}  // namespace nucleus::container
