#include "runtime/plan/production.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>

namespace nucleus::plan {
namespace {

// ---- processes are hidden

// Of the container's own procfs: is `value` as strict as hidepid=2?
bool Hides(std::string_view value) {
  return value == "2" || value == "invisible" || value == "4" || value == "ptraceable";
}

bool HasHidepid(const MountOptions& options) {
  return std::ranges::any_of(options.parameters, [](const auto& parameter) { return parameter.key == "hidepid"; });
}

// hidepid= and gid= are words of procfs alone: a remount that says them means one.
Result<> CheckHidden(const MountOptions& options, const std::string& where) {
  for (const MountOptions::Parameter& parameter : options.parameters) {
    if (parameter.key == "hidepid" && !Hides(parameter.value)) {
      return std::unexpected(
          Failure(where + ".options: hidepid=" + parameter.value + ": production mode hides processes (hidepid=2)"));
    }
    if (parameter.key == "gid") {
      return std::unexpected(
          Failure(where + ".options: gid=" + parameter.value + ": production mode shows processes to no group"));
    }
  }
  return {};
}

bool IsBelow(std::string_view path, std::string_view directory) {
  return path == directory || (path.starts_with(directory) && path.substr(directory.size()).starts_with('/'));
}

Result<> CheckProc(const MountStep& step, const std::string& where) {
  if (const auto* mount = std::get_if<FilesystemMount>(&step); mount != nullptr && mount->type == "proc") {
    return CheckHidden(mount->options, where);
  }
  if (const auto* mount = std::get_if<Remount>(&step)) {
    return HasHidepid(mount->options) ? CheckHidden(mount->options, where) : Result<>{};
  }
  if (const auto* mount = std::get_if<BindMount>(&step); mount != nullptr && IsBelow(mount->source, "/proc")) {
    return std::unexpected(Failure(where + ".source: " + mount->source +
                                   ": production mode hides processes, and the host's procfs shows them"));
  }
  return {};
}

// ---- nothing is both writable and executable

constexpr std::uint64_t kEither = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;

// One mount as it will be, as far as the plan alone says: a bind mount's source may have more flags, which is not
// counted on.
struct Mounted {
  std::string target;
  std::string where;
  std::uint64_t set = 0;
  std::uint64_t set_below = kEither;  // of what comes with it; where nothing does: no matter
};

class Mounts {
 public:
  // The executor's order: of a bind mount the recursive options come first, of others last.
  void Add(const BindMount& mount, const std::string& where) {
    const MountOptions& options = mount.options;
    mounts_.push_back({.target = mount.target,
                       .where = where,
                       .set = (options.recursive_set & ~options.clear) | options.set,
                       .set_below = mount.recursive ? options.recursive_set : kEither});
  }
  void Add(const FilesystemMount& mount, const std::string& where) {
    const MountOptions& options = mount.options;
    mounts_.push_back({.target = mount.target,
                       .where = where,
                       .set = (options.set & ~options.recursive_clear) | options.recursive_set});
  }
  void Add(const CgroupMount& mount, const std::string& where) {
    mounts_.push_back({.target = mount.target, .where = where, .set = mount.options.set});
  }

  Result<> Change(const Remount& mount, const std::string& where) {
    const MountOptions& options = mount.options;
    const bool loosens = ((options.clear | options.recursive_clear) & kEither) != 0;
    const auto changed = std::find_if(mounts_.rbegin(), mounts_.rend(),
                                      [&mount](const Mounted& other) { return other.target == mount.target; });
    if (changed == mounts_.rend()) {
      // Perhaps by another name: which one it is, only the kernel will know.
      return loosens ? std::unexpected(Failure(where + ": makes writable or executable what no mount before it names"))
                     : Result<>{};
    }
    changed->set = (changed->set & ~options.clear) | options.set;
    changed->where = where;
    for (Mounted& other : mounts_) {
      if (IsBelow(other.target, mount.target)) {
        std::uint64_t& flags = other.set;
        flags = (flags & ~options.recursive_clear) | options.recursive_set;
        other.set_below = (other.set_below & ~options.recursive_clear) | options.recursive_set;
      }
    }
    return {};
  }

  [[nodiscard]] Result<> Check() const {
    for (const Mounted& mounted : mounts_) {
      if ((mounted.set & kEither) == 0) {
        return std::unexpected(
            Failure(mounted.where + ": " + mounted.target +
                    " is both writable and executable: production mode needs \"ro\" or \"noexec\" in its options"));
      }
      if ((mounted.set_below & kEither) == 0) {
        return std::unexpected(Failure(mounted.where + ": what is mounted below " + mounted.target +
                                       " may be both writable and executable: production mode needs \"rro\" or "
                                       "\"rnoexec\" in its options"));
      }
    }
    return {};
  }

 private:
  std::vector<Mounted> mounts_;
};

Result<> CheckMounts(const Plan& plan) {
  Mounts mounts;
  for (std::size_t i = 0; i < plan.rootfs.mounts.size(); ++i) {
    const std::string where = "mounts[" + std::to_string(i) + "]";
    const MountStep& step = plan.rootfs.mounts[i];
    TRY(CheckProc(step, where));
    if (const auto* bind = std::get_if<BindMount>(&step)) {
      mounts.Add(*bind, where);
    } else if (const auto* filesystem = std::get_if<FilesystemMount>(&step)) {
      mounts.Add(*filesystem, where);
    } else if (const auto* cgroup = std::get_if<CgroupMount>(&step)) {
      mounts.Add(*cgroup, where);
    } else {
      TRY(mounts.Change(std::get<Remount>(step), where));
    }
  }
  return mounts.Check();
}

bool HoldsNoPrograms(std::string_view type) {
  return type == "proc" || type == "sysfs" || type == "mqueue" || type == "devpts";
}

void ForbidPrograms(MountOptions& options) {
  if ((options.clear & MOUNT_ATTR_NOEXEC) == 0) {
    options.set |= MOUNT_ATTR_NOEXEC;
  }
}

// ---- limits

// Written last: it would lift what was just demanded.
Result<> CheckUnified(const oci::Resources& resources) {
  for (const char* file : {"memory.max", "pids.max"}) {
    const auto entry = resources.unified.find(file);
    if (entry != resources.unified.end() && entry->second.find_first_not_of("0123456789") != std::string::npos) {
      return std::unexpected(
          Failure(std::string{"linux.resources.unified[\""} + file + "\"]: production mode needs a limit"));
    }
  }
  return {};
}

Result<> CheckLimits(const Plan& plan) {
  if (plan.cgroups.empty() && !plan.scope) {
    return std::unexpected(Failure("linux.resources: production mode needs limits, and cgroups are disabled"));
  }
  const oci::Resources& resources = plan.resources;
  if (!resources.memory || resources.memory->limit.value_or(-1) <= 0) {
    return std::unexpected(Failure("linux.resources.memory.limit: production mode needs one"));
  }
  if (resources.pids_limit.value_or(-1) < 0) {
    return std::unexpected(Failure("linux.resources.pids.limit: production mode needs one"));
  }
  return CheckUnified(resources);
}

// ---- capabilities

// With any of these a process can leave the container, look into others, or take its confinement off.
constexpr auto kRefused =
    std::to_array<std::string_view>({"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE",
                                     "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH",
                                     "CAP_MKNOD", "CAP_SYS_BOOT", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_SETPCAP"});

Result<> CheckCapabilities(const policies::Policies& policies) {
  if (!policies.capabilities) {
    return {};
  }
  const oci::Capabilities& keep = policies.capabilities->keep;
  for (const std::string_view refused : kRefused) {
    for (const auto* set : {&keep.bounding, &keep.effective, &keep.inheritable, &keep.permitted, &keep.ambient}) {
      if (std::ranges::find(*set, refused) == set->end()) {
        continue;
      }
      const auto document =
          std::ranges::find_if(policies.documents, [](const auto& other) { return other.kind == "capabilities"; });
      const std::string file = document == policies.documents.end() ? "" : document->file.path + ": ";
      return std::unexpected(Failure("annotations[\"dev.nucleus.policy.capabilities\"]: " + file +
                                         std::string{refused} + ": production mode keeps it for no process",
                                     EPERM));
    }
  }
  return {};
}

}  // namespace

void PrepareProduction(Plan& plan) {
  plan.rootfs.hide_processes = true;
  plan.rootfs.writable_or_executable = true;
  for (MountStep& step : plan.rootfs.mounts) {
    if (auto* cgroup = std::get_if<CgroupMount>(&step)) {
      ForbidPrograms(cgroup->options);
    }
    auto* mount = std::get_if<FilesystemMount>(&step);
    if (mount == nullptr) {
      continue;
    }
    if (HoldsNoPrograms(mount->type)) {
      ForbidPrograms(mount->options);
    }
    if (mount->type == "proc" && !HasHidepid(mount->options)) {
      mount->options.parameters.push_back({.key = "hidepid", .value = "2", .has_value = true});
    }
  }
}

Result<> CheckProduction(const oci::Spec& spec, const Plan& plan, const policies::Policies& policies) {
  if (!spec.root.readonly) {
    return std::unexpected(Failure("root.readonly: production mode needs a read-only root filesystem"));
  }
  if (!policies.rootfs_manifest) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.rootfs.manifest\"]: production mode needs an attested root filesystem"));
  }
  TRY(CheckMounts(plan));
  TRY(CheckLimits(plan));
  return CheckCapabilities(policies);
}

Result<> CheckProductionUpdate(const oci::Resources& resources) {
  if (resources.memory && resources.memory->limit.value_or(0) < 0) {
    return std::unexpected(Failure("linux.resources.memory.limit: production mode needs a limit", EPERM));
  }
  if (resources.pids_limit.value_or(0) < 0) {
    return std::unexpected(Failure("linux.resources.pids.limit: production mode needs a limit", EPERM));
  }
  return CheckUnified(resources);
}

}  // namespace nucleus::plan
