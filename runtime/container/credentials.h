// The credentials that systemd has put into a directory for a service (systemd.exec(5)), for the container's process.
#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

// A detached mount of a ramfs, which is never swapped out, with a copy of each file in `directory`: mode 0400, and as
// its directory (0500) of the user and group of the plan's process. Errors where there is anything but files, and more
// than systemd would give (1 MiB each, 16 MiB in all).
Result<Fd> CopyCredentials(const std::string& directory, const plan::Plan& plan);

}  // namespace nucleus::container
