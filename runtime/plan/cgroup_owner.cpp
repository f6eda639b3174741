#include "runtime/plan/cgroup_owner.h"

#include <sched.h>
#include <sys/mount.h>

#include <algorithm>

namespace nucleus::plan {

std::optional<uid_t> CgroupOwner(const Plan& plan) {
  const bool writable = std::any_of(plan.rootfs.mounts.begin(), plan.rootfs.mounts.end(), [](const MountStep& step) {
    const auto* mount = std::get_if<CgroupMount>(&step);
    return mount != nullptr && (mount->options.set & MOUNT_ATTR_RDONLY) == 0;
  });
  if (!writable || !plan.process || !plan.namespaces.Creates(CLONE_NEWCGROUP)) {
    return std::nullopt;
  }
  const std::uint32_t user = plan.process->user.uid;
  if (!plan.namespaces.Has(CLONE_NEWUSER)) {
    return user;
  }
  for (const oci::IdMapping& mapping : plan.uid_mappings) {
    if (user >= mapping.container_id && user - mapping.container_id < mapping.size) {
      return mapping.host_id + (user - mapping.container_id);
    }
  }
  // A joined user namespace: its mappings are not the plan's to know.
  return std::nullopt;
}

}  // namespace nucleus::plan
