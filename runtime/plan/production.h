// What production mode asks of a bundle's root, limits and capabilities, and what it adds to the plan by itself. Pure.
// docs/modes.md says it to the user.
#pragma once

#include "base/error.h"
#include "oci-config/spec.h"
#include "policies/policies.h"
#include "runtime/plan/plan.h"

namespace nucleus::plan {

// Adds what needs no word in config.json, and has the mount audit look for it: hidepid=2 on every new procfs, noexec on
// the kernel's own filesystems (proc, sysfs, cgroup, mqueue, devpts), which hold no programs. Where config.json says
// the contrary it stays as it is, and is an error of CheckProduction.
void PrepareProduction(Plan& plan);

// For a plan that is complete and prepared. Errors name the key of config.json, or the policy's file:
// a root that is not read-only, no rootfs.manifest, a mount that is both writable and executable (mounts[i]), a procfs
// that shows all processes, no limit for memory or pids, a policy that keeps a capability which reaches beyond the
// container.
Result<> CheckProduction(const oci::Spec& spec, const Plan& plan, const policies::Policies& policies);

// What `update` must not do: lift a limit that CheckProduction has demanded. Another limit is the host's to choose.
Result<> CheckProductionUpdate(const oci::Resources& resources);

}  // namespace nucleus::plan
