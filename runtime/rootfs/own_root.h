// A root of the container's own, whose bundle stays as it is: a tmpfs with a copy, or an overlay on a tmpfs. Both are
// as large as the plan says (tmpfs_size), and go with the container's mount namespace.
#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "runtime/plan/plan.h"

namespace nucleus::rootfs {

// A detached tmpfs with the whole tree `from` (O_PATH) in it: attributes, extended attributes, hard links; what is
// mounted below `from` is left out. EPERM where the caller may not mount (an ordinary user outside of its namespaces).
Result<Fd> CopyOfRoot(int from, const plan::Rootfs& plan);

// For `lower`, a mount that is attached in this process's mount namespace: mounts a tmpfs and then an overlay over it,
// and returns that. What lies below is reached through the overlay alone. An error where the kernel has no overlay, or
// not for this user namespace.
Result<Fd> OverlayOnRoot(int lower, const plan::Rootfs& plan);

}  // namespace nucleus::rootfs
