// The root filesystem that a bundle's manifest describes: verified through the descriptors that are mounted later, its
// closure's too. Inside runtime/container only.
#pragma once

#include "base/error.h"
#include "policies/policies.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/rootfs.h"

namespace nucleus::container {

// Makes the sources of the closure's mounts and of the credentials'. With a copy for a root: makes it, and compares
// that. Else it takes hold of the directory at plan.path and compares it with the manifest, whose bytes are let go
// afterwards (its digest stays). Nothing where the root is not attested. The error lists the first differences and
// their count.
Result<rootfs::VerifiedRoot> VerifyRoot(const plan::Plan& plan, policies::Policies& policies);

// Puts what VerifyRoot has made among the `sources` of the plan's mounts (OpenIdmappedSources).
void TakeMadeSources(rootfs::VerifiedRoot& root, std::vector<Fd>& sources);

}  // namespace nucleus::container
