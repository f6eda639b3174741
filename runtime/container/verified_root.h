// The root filesystem that a bundle's manifest describes: verified through the descriptor that is mounted later. Inside
// runtime/container only.
#pragma once

#include "base/error.h"
#include "policies/policies.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/rootfs.h"

namespace nucleus::container {

// With a copy for a root: makes it, and compares that. Else it takes hold of the directory at plan.path and compares it
// with the manifest, whose bytes are let go afterwards (its digest stays). Nothing where the root is not attested. The
// error lists the first differences and their count.
Result<rootfs::VerifiedRoot> VerifyRoot(const plan::Rootfs& plan, policies::Policies& policies);

}  // namespace nucleus::container
