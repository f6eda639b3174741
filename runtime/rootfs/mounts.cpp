// mounts[], in order, each through descriptors: made detached, flags set, then attached on a target that was resolved
// once.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "runtime/rootfs/cgroup_mount.h"
#include "runtime/rootfs/copy_up.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

constexpr std::uint64_t kAllAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                         MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW;

// Filesystems whose superblock other mounts share: `ro` is said of the mount alone, or it would reach them all.
bool SharesSuperblock(const std::string& type) {
  static constexpr auto kShared =
      std::to_array<std::string_view>({"proc", "sysfs", "mqueue", "devpts", "cgroup", "cgroup2", "devtmpfs", "debugfs",
                                       "tracefs", "securityfs", "bpf", "binfmt_misc", "pstore", "efivarfs"});
  return std::find(kShared.begin(), kShared.end(), type) != kShared.end();
}

Result<> ApplyRecursive(int mount, const plan::MountOptions& options, const std::string& target) {
  if (options.recursive_set != 0 || options.recursive_clear != 0) {
    TRY(sys::SetMountAttributes(mount, options.recursive_set, options.recursive_clear, 0, true, target));
  }
  return {};
}

// After the mount is attached: a detached mount has no peers to share with.
Result<> ApplyPropagation(int mount, const plan::MountOptions& options, const std::string& target) {
  if (options.propagation != 0) {
    TRY(sys::SetMountAttributes(mount, 0, 0, options.propagation, options.propagation_recursive, target));
  }
  return {};
}

// /proc and /sys decide what the runtime itself reads and writes later: their targets are real directories of the root,
// reached without any link (CVE-2019-19921 and its kin).
Result<Fd> PlainDirectory(const Resolver& resolver, const std::string& target) {
  Result<Fd> found = resolver.OpenNoSymlinks(target, O_PATH | O_NOFOLLOW);
  if (!found && found.error().code == ENOENT) {
    const Fd made = TRY(resolver.MakeDirectory(target));
    found = resolver.OpenNoSymlinks(target, O_PATH | O_NOFOLLOW);
  }
  if (found) {
    const struct stat status = TRY(sys::Fstat(found->get(), target));
    if (S_ISDIR(status.st_mode)) {
      return found;
    }
  } else if (found.error().code != ELOOP && found.error().code != ENOTDIR) {
    return found;
  }
  return std::unexpected(Failure("must be mounted on ordinary directory", ENOTDIR));
}

Result<Fd> FilesystemTarget(const Resolver& resolver, const plan::FilesystemMount& mount) {
  if (mount.type == "proc" || mount.type == "sysfs") {
    return PlainDirectory(resolver, mount.target);
  }
  return resolver.MakeDirectory(mount.target);
}

Result<> SetParameters(int fs, const plan::MountOptions& options) {
  for (const std::string& flag : options.superblock_flags) {
    TRY(sys::FsConfigFlag(fs, flag));
  }
  for (const auto& parameter : options.parameters) {
    if (parameter.has_value) {
      TRY(sys::FsConfigString(fs, parameter.key, parameter.value));
    } else {
      TRY(sys::FsConfigFlag(fs, parameter.key));
    }
  }
  return {};
}

bool Says(const plan::MountOptions& options, std::initializer_list<std::string_view> keys) {
  return std::ranges::any_of(
      options.parameters, [&](const auto& parameter) { return std::ranges::find(keys, parameter.key) != keys.end(); });
}

Result<> Configure(int fs, const plan::FilesystemMount& mount) {
  if (!mount.source.empty()) {
    TRY(sys::FsConfigString(fs, "source", mount.source));
  }
  if ((mount.options.set & MOUNT_ATTR_RDONLY) != 0 && !SharesSuperblock(mount.type) && !mount.options.tmpcopyup) {
    TRY(sys::FsConfigFlag(fs, "ro"));
  }
  TRY(SetParameters(fs, mount.options));
  return sys::FsConfigCreate(fs);
}

// What a remount says of the filesystem itself. Nothing said: nothing touched.
Result<> Reconfigure(int target, const plan::Remount& mount) {
  if (mount.options.superblock_flags.empty() && mount.options.parameters.empty()) {
    return {};
  }
  const Fd fs = TRY(sys::FsPick(target, mount.target));
  TRY(SetParameters(fs.get(), mount.options));
  return sys::FsConfigReconfigure(fs.get());
}

class Mounter {
 public:
  Mounter(const Handles& handles, const CgroupView& view, CgroupGate& gate)
      : resolver_(handles.root.get()), ledger_(handles.ledger.get()), view_(view), gate_(gate) {
  }

  // The next bind mount's source, when the runtime has opened it; -1: by its path.
  void UseSource(int source) {
    source_ = source;
  }

  Result<> operator()(const plan::BindMount& mount) {
    const Fd copy = source_ < 0 ? TRY(sys::CloneTree(AT_FDCWD, mount.source, mount.recursive, mount.source)) : Fd{};
    const int tree = source_ < 0 ? copy.get() : source_;
    const struct stat source = TRY(sys::Fstat(tree, mount.source));
    const Fd target = TRY(S_ISDIR(source.st_mode) ? BindDirectory(mount) : resolver_.MakeFile(mount.target));
    TRY(ApplyRecursive(tree, mount.options, mount.target));
    if (mount.options.set != 0 || mount.options.clear != 0) {
      TRY(sys::SetMountAttributes(tree, mount.options.set, mount.options.clear, 0, false, mount.target));
    }
    TRY(sys::MoveMount(tree, target.get(), mount.target));
    TRY(NoteCopy(ledger_, tree,
                 {.path = mount.target,
                  .set = (mount.options.recursive_set & ~mount.options.clear) | mount.options.set,
                  .recursive = mount.recursive,
                  .set_below = mount.options.recursive_set}));
    return ApplyPropagation(tree, mount.options, mount.target);
  }

  Result<> operator()(const plan::FilesystemMount& mount) {
    const Fd target = TRY(FilesystemTarget(resolver_, mount));
    const Fd fs = TRY(sys::FsOpen(mount.type));
    TRY(Configure(fs.get(), mount));
    const std::uint64_t later = mount.options.tmpcopyup ? std::uint64_t{MOUNT_ATTR_RDONLY} : 0;
    Fd made = TRY(sys::FsMount(fs.get(), mount.options.set & ~later & kAllAttributes));
    TRY(ApplyRecursive(made.get(), mount.options, mount.target));
    if (mount.options.tmpcopyup) {
      TRY(CopyUp(target.get(), made.get(), mount.target,
                 {.mode = Says(mount.options, {"mode"}), .owner = Says(mount.options, {"uid", "gid"})}));
      TRY(sys::SetMountAttributes(made.get(), mount.options.set & later, 0, 0, false, mount.target));
    }
    TRY(sys::MoveMount(made.get(), target.get(), mount.target));
    TRY(ApplyPropagation(made.get(), mount.options, mount.target));
    return Note(ledger_, std::move(made),
                {.path = mount.target,
                 .set = (mount.options.set & ~mount.options.recursive_clear) | mount.options.recursive_set});
  }

  Result<> operator()(const plan::CgroupMount& mount) {
    TRY(gate_.Pass());
    const Fd target = TRY(resolver_.MakeDirectory(mount.target));
    const Fd made = TRY(MountCgroups(mount, view_, target.get(), ledger_));
    return ApplyPropagation(made.get(), mount.options, mount.target);
  }

  Result<> operator()(const plan::Remount& mount) {
    const Fd target = TRY(resolver_.Open(mount.target, O_PATH));
    TRY(Reconfigure(target.get(), mount));
    TRY(sys::SetMountAttributes(target.get(), mount.options.set, mount.options.clear, 0, false, mount.target));
    TRY(ApplyRecursive(target.get(), mount.options, mount.target));
    TRY(NoteCopy(ledger_, target.get(),
                 {.changed = true,
                  .path = mount.target,
                  .set = mount.options.set,
                  .clear = mount.options.clear,
                  .recursive = true,
                  .set_below = mount.options.recursive_set,
                  .clear_below = mount.options.recursive_clear}));
    return ApplyPropagation(target.get(), mount.options, mount.target);
  }

 private:
  Result<Fd> BindDirectory(const plan::BindMount& mount) {
    if (mount.target == "/proc" || mount.target == "/sys") {
      return PlainDirectory(resolver_, mount.target);
    }
    return resolver_.MakeDirectory(mount.target);
  }

  Resolver resolver_;
  Ledger* ledger_;
  const CgroupView& view_;
  CgroupGate& gate_;
  int source_ = -1;
};

std::string Describe(const plan::MountStep& step) {
  struct Words {
    std::string operator()(const plan::BindMount& mount) const {
      return "mount \"" + mount.source + "\" at \"" + mount.target + '"';
    }
    std::string operator()(const plan::FilesystemMount& mount) const {
      return "mount \"" + mount.type + "\" at \"" + mount.target + '"';
    }
    std::string operator()(const plan::CgroupMount& mount) const {
      return "mount \"cgroup\" at \"" + mount.target + '"';
    }
    std::string operator()(const plan::Remount& mount) const {
      return "remount \"" + mount.target + '"';
    }
  };
  return std::visit(Words{}, step);
}

}  // namespace

Result<> Mount(const plan::Rootfs& plan, const Handles& handles, const std::vector<Fd>& sources, const CgroupView& view,
               CgroupGate& gate) {
  Mounter mounter{handles, view, gate};
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    const plan::MountStep& step = plan.mounts[i];
    mounter.UseSource(i < sources.size() ? sources[i].get() : -1);
    Result<> done = std::visit(mounter, step);
    if (!done) {
      return std::unexpected(Context(Describe(step), std::move(done).error()));
    }
  }
  return {};
}

}  // namespace nucleus::rootfs
