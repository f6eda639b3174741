// tmpcopyup: what the image has below a tmpfs is copied into it.
#pragma once

#include <string>

#include "base/error.h"

namespace nucleus::rootfs {

// Copies the directory tree `from` (O_PATH) into the directory `to` (the root of a detached mount): directories,
// regular files, symbolic links, devices, fifos; modes, owners, times. Links are copied, never followed.
Result<> CopyUp(int from, int to, const std::string& name);

}  // namespace nucleus::rootfs
