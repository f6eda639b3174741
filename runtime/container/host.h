// The facts about this host that planning depends on.
#pragma once

#include <string>

#include "base/error.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

// The LSMs are looked up where `labels` says that one is asked for.
Result<plan::Host> ReadHost(bool with_cgroups, bool labels);

// $XDG_RUNTIME_DIR, where this process has it and is not the host's root: an ordinary user, or the root of a user
// namespace of one (rootless podman calls the runtime in such), unless USER says "root". Empty otherwise. As runc does.
std::string UsersRuntimeDir();

// Where this user keeps what `name` says from one container to the next: below /run for root, below UsersRuntimeDir for
// others; empty without one. A comma in the name keeps it from being a container's where this is also the root of the
// state.
std::string CacheDirectory(const std::string& name);

// Does a bundle, or a process, ask for an LSM's label?
bool AsksForLabels(const oci::Linux& container, const oci::Process* process);

// The kernel's lockdown: "none", "integrity" or "confidentiality"; empty where it does not say. `text` is that of
// /sys/kernel/security/lockdown: "none [integrity] confidentiality".
std::string LockdownIn(std::string_view text);
std::string ReadLockdown();

}  // namespace nucleus::container
