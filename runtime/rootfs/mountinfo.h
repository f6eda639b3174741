// /proc/PID/mountinfo, read: what is mounted in a mount namespace, as the kernel tells it.
// Source: proc_pid_mountinfo(5).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::rootfs {

struct MountInfo {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  std::string point;  // from the reader's root, escaped as the kernel does: "\040" for a space
  // MOUNT_ATTR_RDONLY, NOSUID, NODEV, NOEXEC and NOSYMFOLLOW that are in force: read-only is the mount or its
  // filesystem.
  std::uint64_t flags = 0;
  std::string type;           // "proc", "fuse.sshfs"
  std::string super_options;  // "rw,hidepid=invisible"
};

// An error where a line is not as the kernel writes them.
Result<std::vector<MountInfo>> ParseMountInfo(std::string_view text);

// "rw,a=1,b": is one of them `option`?
bool HasOption(std::string_view options, std::string_view option);

}  // namespace nucleus::rootfs
