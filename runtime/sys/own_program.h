// The programs that belong to this one (nucleus-net and its like), found by the absolute path that the build gave them.
#pragma once

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::sys {

// Opened (O_PATH) to be executed by this very descriptor: a file that only root, or this user, may change. EPERM where
// others may.
Result<Fd> OpenOwnProgram(const char* path);

}  // namespace nucleus::sys
