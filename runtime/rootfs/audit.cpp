#include "runtime/rootfs/audit.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <map>

#include "runtime/rootfs/mount_list.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

// Flags that are missed when they are lost. Those of access times are none.
struct FlagName {
  std::uint64_t flag;
  const char* name;
};
constexpr auto kFlags = std::to_array<FlagName>({{MOUNT_ATTR_RDONLY, "ro"},
                                                 {MOUNT_ATTR_NOSUID, "nosuid"},
                                                 {MOUNT_ATTR_NODEV, "nodev"},
                                                 {MOUNT_ATTR_NOEXEC, "noexec"},
                                                 {MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"}});

class Comparison {
 public:
  Comparison(const plan::Rootfs& plan, const Ledger& ledger, const Found& found) : plan_(plan), ledger_(ledger) {
    for (const MountInfo& mount : found.mounts) {
      mounts_[mount.id].info = &mount;
    }
    Replay();
    for (const auto& [id, mount] : mounts_) {
      Check(mount);
    }
    CheckPaths(found);
  }

  std::multimap<std::string, std::string> findings;  // by path: the kernel gives a mount any number that is free

 private:
  struct Mount {
    const MountInfo* info = nullptr;     // none: not mounted
    const LedgerEntry* entry = nullptr;  // the one that placed it; none: not this process's
    std::size_t since = 0;               // that entry's index
    std::uint64_t wanted = 0;
  };

  // Is `id` mounted below `ancestor`?
  [[nodiscard]] bool IsBelow(std::uint64_t id, std::uint64_t ancestor) const {
    // A chain of parents cannot be longer than there are mounts.
    for (std::size_t steps = 0; steps <= mounts_.size(); ++steps) {
      const auto mount = mounts_.find(id);
      if (mount == mounts_.end() || mount->second.info == nullptr) {
        return false;
      }
      id = mount->second.info->parent;
      if (id == ancestor) {
        return true;
      }
    }
    return false;
  }

  // Whose submount is it: of the nearest mount above that this process has placed.
  [[nodiscard]] const Mount* NearestPlaced(const Mount& mount) const {
    const MountInfo* info = mount.info;
    for (std::size_t steps = 0; info != nullptr && steps <= mounts_.size(); ++steps) {
      const auto parent = mounts_.find(info->parent);
      if (parent == mounts_.end()) {
        return nullptr;
      }
      if (parent->second.entry != nullptr) {
        return &parent->second;
      }
      info = parent->second.info;
    }
    return nullptr;
  }

  // From what happened to which flags each mount must have now.
  void Replay() {
    // All are known before any is changed: a change reaches what came with a bind mount too.
    for (std::size_t i = 0; i < ledger_.entries.size(); ++i) {
      const LedgerEntry& entry = ledger_.entries[i];
      if (!entry.changed) {
        mounts_[entry.id].entry = &entry;
        mounts_[entry.id].since = i;
      }
    }
    for (auto& [id, mount] : mounts_) {
      if (mount.entry != nullptr) {
        mount.wanted = mount.entry->set;
      } else if (const Mount* owner = NearestPlaced(mount); owner != nullptr && owner->entry->recursive) {
        mount.since = owner->since;
        mount.wanted = owner->entry->set_below;
      }
    }
    for (std::size_t i = 0; i < ledger_.entries.size(); ++i) {
      if (ledger_.entries[i].changed) {
        Change(ledger_.entries[i], i);
      }
    }
  }

  void Change(const LedgerEntry& change, std::size_t when) {
    for (auto& [id, mount] : mounts_) {
      if (mount.since > when) {
        continue;
      }
      if (id == change.id) {
        mount.wanted = (mount.wanted & ~change.clear) | change.set;
      }
      if (change.recursive && (id == change.id || IsBelow(id, change.id))) {
        mount.wanted = (mount.wanted & ~change.clear_below) | change.set_below;
      }
    }
  }

  void Find(const std::string& path, const std::string& what) {
    findings.emplace(path, what);
  }

  void Check(const Mount& mount) {
    if (mount.info == nullptr) {
      Find(mount.entry->path, "not mounted");
      return;
    }
    const std::string& path = mount.info->point;
    if (mount.entry == nullptr) {
      const Mount* owner = NearestPlaced(mount);
      if (owner == nullptr || !owner->entry->recursive) {
        Find(path, "mounted, and not planned");
      }
    }
    std::uint64_t wanted = mount.wanted;
    if (mount.entry != nullptr && mount.entry->what == Placed::kReadonly) {
      // A copy of what it lies on: it has those flags too.
      const auto original = mounts_.find(mount.info->parent);
      wanted |= original == mounts_.end() ? 0 : original->second.wanted;
    }
    for (const FlagName& flag : kFlags) {
      if ((wanted & flag.flag) != 0 && (mount.info->flags & flag.flag) == 0) {
        Find(path, std::string{"not "} + flag.name);
      }
    }
    CheckProduction(mount);
  }

  void CheckProduction(const Mount& mount) {
    const MountInfo& info = *mount.info;
    // A device, a terminal or the null device: nothing there can be executed.
    const bool node =
        mount.entry != nullptr && (mount.entry->what == Placed::kNode || mount.entry->what == Placed::kMask);
    if (plan_.writable_or_executable && !node && (info.flags & (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC)) == 0) {
      Find(info.point, "both writable and executable");
    }
    if (plan_.hide_processes && info.type == "proc" &&
        std::ranges::none_of(
            std::to_array<const char*>({"hidepid=invisible", "hidepid=2", "hidepid=ptraceable", "hidepid=4"}),
            [&info](const char* option) { return HasOption(info.super_options, option); })) {
      Find(info.point, "shows all processes (no hidepid=2)");
    }
  }

  void CheckPaths(const Found& found) {
    for (const FinalPath& masked : found.masked) {
      const auto mount = mounts_.find(masked.mount);
      if (mount == mounts_.end() || mount->second.entry == nullptr || mount->second.entry->what != Placed::kMask) {
        Find(masked.path, "not masked");
      }
    }
    for (const FinalPath& readonly : found.readonly) {
      const auto mount = mounts_.find(readonly.mount);
      if (mount == mounts_.end() || mount->second.info == nullptr ||
          ((mount->second.info->flags & MOUNT_ATTR_RDONLY) == 0 &&
           (mount->second.entry == nullptr || mount->second.entry->what != Placed::kMask))) {
        Find(readonly.path, "not read-only");
      }
    }
  }

  const plan::Rootfs& plan_;
  const Ledger& ledger_;
  std::map<std::uint64_t, Mount> mounts_;
};

// As the workload will find them: from this process's root, which is the container's by now.
Result<std::vector<FinalPath>> FinalPaths(const std::vector<std::string>& paths, bool unique) {
  std::vector<FinalPath> result;
  for (const std::string& path : paths) {
    const Result<std::uint64_t> mount = MountIdAt(path, unique);
    if (mount) {
      result.push_back({.path = path, .mount = *mount});
    } else if (mount.error().code != ENOENT && mount.error().code != ENOTDIR) {
      return std::unexpected(mount.error());
    }
  }
  return result;
}

Result<std::vector<MountInfo>> ReadMountInfo(const Handles& handles) {
  constexpr std::size_t kMost = std::size_t{64} << 20;
  const Fd list = TRY(sys::OpenAt2(handles.self.get(), "mountinfo", O_RDONLY, RESOLVE_BENEATH));
  return ParseMountInfo(TRY(ReadAll(list.get(), kMost, "mountinfo")));
}

Result<Found> Look(const plan::Rootfs& plan, const Handles& handles) {
  const bool unique = handles.ledger->unique;
  Found found;
  found.mounts = TRY(unique ? ListMounts() : ReadMountInfo(handles));
  found.masked = TRY(FinalPaths(plan.masked_paths, unique));
  found.readonly = TRY(FinalPaths(plan.readonly_paths, unique));
  return found;
}

}  // namespace

std::vector<std::string> CompareMounts(const plan::Rootfs& plan, const Ledger& ledger, const Found& found) {
  const Comparison comparison{plan, ledger, found};
  std::vector<std::string> findings;
  for (const auto& [path, what] : comparison.findings) {
    findings.push_back(path + ": " + what);
  }
  return findings;
}

Result<> AuditMounts(const plan::Rootfs& plan, const Handles& handles) {
  constexpr std::size_t kListed = 20;
  FAULT_POINT("child.audit");
  Found found = TRY(Look(plan, handles));
  std::vector<std::string> findings = CompareMounts(plan, *handles.ledger, found);
  if (findings.empty()) {
    return {};
  }
  if (handles.ledger->unique) {
    TRY(FindMountPoints(found.mounts));  // only now: most of what a list costs
    findings = CompareMounts(plan, *handles.ledger, found);
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(findings.size(), kListed); ++i) {
    text += (i == 0 ? "" : ", ") + findings[i];
  }
  if (findings.size() > kListed) {
    text += ", and " + std::to_string(findings.size() - kListed) + " more";
  }
  return std::unexpected(Failure(text));
}

}  // namespace nucleus::rootfs
