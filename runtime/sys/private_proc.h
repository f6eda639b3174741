// A procfs that no path leads to: nothing that a container mounts or links can stand in for one of its files.
#pragma once

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::sys {

// Of the pid namespace that this process is in, detached. Needs CAP_SYS_ADMIN over it.
Result<Fd> MountPrivateProc();

}  // namespace nucleus::sys
