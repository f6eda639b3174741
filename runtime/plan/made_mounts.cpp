#include "runtime/plan/made_mounts.h"

#include <sched.h>
#include <sys/mount.h>

#include <string_view>
#include <utility>
#include <variant>

namespace nucleus::plan {
namespace {

// Such a mount would be hidden by the closure's, which comes after it.
Result<> CheckApart(const MountStep& step, const std::vector<std::string>& closure, const std::string& where) {
  const std::string& target = std::visit([](const auto& mount) -> const std::string& { return mount.target; }, step);
  for (const std::string& path : closure) {
    if (target == path || (target.starts_with(path) && target[path.size()] == '/')) {
      return std::unexpected(
          Failure(where + ".destination: " + target + " lies in " + path + " of the closure", EINVAL));
    }
  }
  return {};
}

}  // namespace

Result<> PlanClosure(const Host& host, const policies::Policies& policies, Plan& plan) {
  const std::string key = "annotations[\"dev.nucleus.rootfs.closure\"]: ";
  if (!policies.rootfs_closure) {
    return {};
  }
  if (!plan.namespaces.Creates(CLONE_NEWNS)) {
    return std::unexpected(Failure(key + "needs a new mount namespace in linux.namespaces", EINVAL));
  }
  if (host.rootless()) {
    return std::unexpected(Failure(key + "takes the host's root", EPERM));
  }
  for (std::size_t i = 0; i < plan.rootfs.mounts.size(); ++i) {
    TRY(CheckApart(plan.rootfs.mounts[i], policies.closure, "mounts[" + std::to_string(i) + "]"));
  }
  for (const std::string& path : policies.closure) {
    MountOptions options;
    options.bind = true;
    options.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    plan.rootfs.mounts.emplace_back(
        BindMount{.source = path, .target = path, .options = std::move(options), .made = BindMount::Made::kClosure});
  }
  return {};
}

// What was asked for and is not there is an error: the workload would run without its secrets.
Result<> PlanCredentials(const Options& options, const Host& host, Plan& plan) {
  const std::string& target = options.annotations.credentials;
  const std::string key = "annotations[\"dev.nucleus.credentials\"]: ";
  if (target.empty()) {
    return {};
  }
  if (options.credentials_directory.empty()) {
    return std::unexpected(Failure(key + "the runtime was given none: CREDENTIALS_DIRECTORY is not set", ENOENT));
  }
  if (!plan.process || !plan.namespaces.Creates(CLONE_NEWNS)) {
    return std::unexpected(Failure(key + "needs a process, and a new mount namespace in linux.namespaces", EINVAL));
  }
  if (host.rootless()) {
    return std::unexpected(Failure(key + "takes the host's root", EPERM));
  }
  if (plan.namespaces.Joins(CLONE_NEWUSER)) {
    return std::unexpected(
        Failure(key + "not in a user namespace that is joined: whose files they are is not known", EINVAL));
  }
  MountOptions mount;
  mount.bind = true;
  mount.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  plan.rootfs.mounts.emplace_back(BindMount{.source = options.credentials_directory,
                                            .target = target,
                                            .options = std::move(mount),
                                            .made = BindMount::Made::kCredentials});
  constexpr std::string_view kVariable = "CREDENTIALS_DIRECTORY=";
  std::erase_if(plan.process->env, [kVariable](const std::string& entry) { return entry.starts_with(kVariable); });
  plan.process->env.push_back(std::string{kVariable} + target);
  return {};
}

}  // namespace nucleus::plan
