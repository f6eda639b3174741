// What the image has below a tmpfs is copied into it (tmpcopyup), or all of it (a root in a tmpfs).
#pragma once

#include <string>

#include "base/error.h"

namespace nucleus::rootfs {

// What the tmpfs's own options have said of its root: that stays.
struct Keep {
  bool mode = false;
  bool owner = false;
  // Extended attributes and hard links as well, and sockets: nothing may be missing. An attribute that cannot be had
  // there is an error.
  bool whole = false;
};

// Copies the directory tree `from` (O_PATH) into the directory `to` (the root of a detached mount): directories,
// regular files, symbolic links, devices, fifos; modes, owners, times. Links are copied, never followed.
Result<> CopyUp(int from, int to, const std::string& name, Keep keep = {});

}  // namespace nucleus::rootfs
