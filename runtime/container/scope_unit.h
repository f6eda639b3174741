// The container's unit of systemd's over its life: what create, exec, update and delete ask of systemd.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "oci-config/state.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/systemd/scope.h"

namespace nucleus::container {

// What the state says of the unit before there is one.
oci::StateSystemd PlannedUnit(const systemd::Scope& scope);

// Makes the unit with the process `pid` in it, which must not have done anything yet. The result is the path of its
// cgroup, as /proc/PID/cgroup has it. An error leaves no unit.
Result<std::string> StartUnit(const systemd::Scope& scope, bool unified, pid_t pid, oci::StateSystemd& state);

// Kills what is in the unit and ends it; its failure, if it had one, is forgotten. Without effect where the state names
// none, and where there is none any more.
Result<> StopUnit(const oci::State& state);

// Tells systemd of new limits. The cgroup's files are as before afterwards: those that systemd has written on this
// occasion are put back, so that only what is written next changes.
Result<> UpdateUnit(const oci::State& state, const cgroup::Host& host, const oci::Resources& resources);

// An ordinary user's process comes into a cgroup of another session only by way of systemd. `cgroups`: where it
// belongs, the unit's own cgroup or one below.
Result<> AttachToUnit(const oci::State& state, const std::vector<oci::StateCgroup>& cgroups, pid_t pid);

}  // namespace nucleus::container
