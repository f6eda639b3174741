// Where sandboxes' bundles are while they run: in memory, so that a secret is on no disk.
#pragma once

#include <string>

#include "base/error.h"

namespace nucleus::front {

// A directory of this user's alone to write to, on a tmpfs: below /run or $XDG_RUNTIME_DIR, else below /dev/shm. Made
// where missing. Others may pass through it, which the container's ids have to.
Result<std::string> MemoryDirectory();

}  // namespace nucleus::front
