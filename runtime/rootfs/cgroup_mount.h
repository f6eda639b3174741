// The container's view of the cgroup tree.
#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "runtime/rootfs/rootfs.h"

namespace nucleus::rootfs {

// Mounts it on `target`: cgroup2 on a unified host; else a tmpfs with a directory for each v1 hierarchy and links for
// the controllers that share one. Without a cgroup namespace of its own the container's own directories are bound, so
// that the host's tree is never in sight. Returns the mount at `target`.
Result<Fd> MountCgroups(const plan::CgroupMount& mount, const CgroupView& view, int target, Ledger* ledger);

}  // namespace nucleus::rootfs
