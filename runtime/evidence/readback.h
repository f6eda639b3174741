// What the kernel says of a container's process and its limits, as words for state and events. The names are those of
// docs/evidence.md. What cannot be read is left out: nothing here is what was configured.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "oci-config/spec.h"
#include "oci-config/state.h"

namespace nucleus::evidence {

// Longer values (a user namespace may have 340 mappings) are given by their digest.
inline constexpr std::size_t kMostOfAValue = 512;

// From /proc/PID/status: ids, capability sets, no_new_privs, seccomp.
void ReadStatus(std::string_view status, oci::StringMap& out);

// Of the process `pid`, which the caller knows to be there before and after: its status, and those rlimits that
// `rlimits` names.
void ReadProcess(pid_t pid, const std::vector<oci::Rlimit>& rlimits, oci::StringMap& out);

// Its namespaces and their id mappings: what a process keeps that only waits and executes. `pidfd` is its.
void ReadNamespaces(pid_t pid, int pidfd, oci::StringMap& out);

// The limits in force, as the cgroups' files say them.
void ReadCgroups(const std::vector<oci::StateCgroup>& cgroups, oci::StringMap& out);

}  // namespace nucleus::evidence
