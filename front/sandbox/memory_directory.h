// Where sandboxes' bundles are while they run: in memory, so that a secret is on no disk.
#pragma once

#include <string>

#include "base/error.h"

namespace nucleus::front {

// A directory of this user's alone to write to, on a tmpfs: below /run or $XDG_RUNTIME_DIR, else below /dev/shm; the
// first of them from which programs can be executed (many hosts mount /run noexec), else the first. Made where missing.
// Others may pass through it, which the container's ids have to.
Result<std::string> MemoryDirectory();

// An error naming `what` and the directory where `path` is on a filesystem mounted noexec, which a bind mount of it
// keeps.
Result<> RunsPrograms(const std::string& path, const std::string& what);

}  // namespace nucleus::front
