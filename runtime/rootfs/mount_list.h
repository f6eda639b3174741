// What is mounted, by listmount(2) and statmount(2): Linux 6.8. They know mounts by numbers that are never given again,
// and tell of each just what is asked for, where /proc/PID/mountinfo is a text of all.
// Source: Documentation/filesystems/mount_api, statmount(2), listmount(2).
#pragma once

#include <vector>

#include "base/error.h"
#include "runtime/rootfs/mountinfo.h"

namespace nucleus::rootfs {

// False on an older kernel, and where a filter around this process refuses them.
bool CanListMounts();

// Those that can be reached from this process's root, as in mountinfo, but with unique numbers, and with neither point
// nor type nor super options.
Result<std::vector<MountInfo>> ListMounts();

// Fills in the points.
Result<> FindMountPoints(std::vector<MountInfo>& mounts);

}  // namespace nucleus::rootfs
