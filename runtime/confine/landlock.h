// Landlock: the workload's own, lasting limits on files, TCP and other processes. Inside runtime.
// Source: landlock(7), Documentation/userspace-api/landlock.rst.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "policies/landlock_policy.h"

namespace nucleus::confine {

// The version of the kernel's Landlock; 0 where it has none or it is not enabled.
int LandlockAbi();

// The policy as a ruleset of the kernel, its paths looked up in this process's root: called in the container's. Every
// right on files that `abi` knows is handled. /dev/null, zero, full, random, urandom and the terminal stay usable. A
// path that is not there, and a right that its file cannot have, are errors that name it.
Result<Fd> MakeLandlockRuleset(const policies::LandlockPolicy& policy, int abi);

// A ruleset without any on files: whoever enters one of these may not mount any more. TCP is refused as a whole where
// `tcp` says so, and `scope` is policies::LandlockScope, both as far as `abi` knows them; empty where it knows neither.
Result<Fd> MakeLandlockScope(bool tcp, unsigned scope, int abi);

// One more rule of a ruleset, of the file that `file` is; `access` are policies::LandlockAccess, as they fit.
Result<> AllowFile(int ruleset, int file, unsigned access, int abi, const std::string& name);

// For this process and all that it becomes. Takes no_new_privs, or CAP_SYS_ADMIN in its user namespace.
Result<> EnterLandlock(int ruleset);

}  // namespace nucleus::confine
