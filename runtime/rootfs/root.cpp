// The container's root: from the host's directory to `/`.

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <charconv>

#include "runtime/rootfs/mount_list.h"
#include "runtime/rootfs/own_root.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

Result<Fd> OpenHostNode(const std::string& path, mode_t type, dev_t number) {
  Fd node = TRY(sys::Open(path, O_PATH | O_NOFOLLOW));
  const struct stat status = TRY(sys::Fstat(node.get(), path));
  if ((status.st_mode & S_IFMT) != type || status.st_rdev != number) {
    return std::unexpected(Failure(path + ": not the device that it should be", ENODEV));
  }
  return node;
}

// Of this process, as long as it lives, whatever is at /proc by then.
Result<Fd> OpenSelf() {
  Fd self = TRY(sys::Open("/proc/self", O_PATH | O_DIRECTORY));
  struct statfs status{};
  if (::fstatfs(self.get(), &status) != 0 || status.f_type != PROC_SUPER_MAGIC) {
    return std::unexpected(Failure("/proc is not a procfs", ENODEV));
  }
  return self;
}

// The mount point that `fd` lies on, from its mount id.
Result<std::string> MountPointOf(int fd) {
  const std::string info = TRY(ReadFile("/proc/self/fdinfo/" + std::to_string(fd), 4096));
  const std::size_t key = info.find("mnt_id:");
  const std::size_t digits = info.find_first_of("0123456789", key);
  if (key == std::string::npos || digits == std::string::npos) {
    return std::unexpected(Failure("no mount id in /proc/self/fdinfo", EINVAL));
  }
  const std::string id = info.substr(digits, info.find('\n', digits) - digits);
  const std::string mounts = TRY(ReadFile("/proc/self/mountinfo", std::size_t{64} << 20));
  for (std::size_t line = 0; line < mounts.size();) {
    const std::size_t end = std::min(mounts.find('\n', line), mounts.size());
    const std::string_view text = std::string_view{mounts}.substr(line, end - line);
    if (text.starts_with(id + " ")) {
      std::size_t start = 0;
      for (int field = 0; field < 4; ++field) {
        start = text.find(' ', start) + 1;
      }
      return std::string{text.substr(start, text.find(' ', start) - start)};
    }
    line = end + 1;
  }
  return std::unexpected(Failure("mount " + id + " is not in /proc/self/mountinfo", ENOENT));
}

// With the host's mounts left shared, the root's own mount would show up on the host, and pivot_root refuses a shared
// parent.
Result<> MakeParentPrivate(int directory) {
  const std::string point = TRY(MountPointOf(directory));
  const Fd mount = TRY(sys::Open(point, O_PATH));
  return sys::SetMountAttributes(mount.get(), 0, 0, MS_PRIVATE, false, point);
}

// The mount that becomes the root; `place` is the directory that its path leads to by now.
Result<Fd> RootTree(const plan::Rootfs& plan, int place, VerifiedRoot verified) {
  if (plan.mode == oci::RootfsMode::kCopy) {
    return verified.detached ? std::move(verified.tree) : CopyOfRoot(place, plan);
  }
  if (!plan.attested) {
    return sys::CloneTree(place, "", plan.mode == oci::RootfsMode::kBind, plan.path);
  }
  const struct stat here = TRY(sys::Fstat(place, plan.path));
  const struct stat there = TRY(sys::Fstat(verified.tree.get(), plan.path));
  if (here.st_dev != there.st_dev || here.st_ino != there.st_ino) {
    return std::unexpected(
        Failure("root.path: " + plan.path + " is not the directory any more that was verified", ESTALE));
  }
  return verified.detached ? std::move(verified.tree) : Result<Fd>{MakeVerifiedMount(place, plan)};
}

}  // namespace

Result<Fd> MakeVerifiedMount(int directory, const plan::Rootfs& plan) {
  // Without what is mounted below, and nothing that the host mounts there later comes in.
  Fd tree = TRY(sys::CloneTree(directory, "", false, plan.path));
  TRY(sys::SetMountAttributes(tree.get(), plan.readonly ? MOUNT_ATTR_RDONLY : 0, 0, MS_PRIVATE, false, plan.path));
  return tree;
}

Result<Handles> OpenRoot(const plan::Rootfs& plan, VerifiedRoot verified) {
  Handles handles;
  handles.null = TRY(OpenHostNode("/dev/null", S_IFCHR, makedev(1, 3)));
  if (plan.audit != plan::Audit::kNone) {
    // What is asked of a procfs beyond that is in mountinfo alone.
    handles.ledger = std::make_unique<Ledger>(!plan.hide_processes && CanListMounts());
    if (!handles.ledger->unique) {
      handles.self = TRY(OpenSelf());
    }
  }
  if (plan.bind_devices) {
    for (const plan::DeviceNode& device : plan.devices) {
      if (device.type == 'p') {
        handles.device_sources.emplace_back();
        continue;
      }
      handles.device_sources.push_back(
          TRY(OpenHostNode(device.path, device.type == 'b' ? S_IFBLK : S_IFCHR, device.number)));
    }
  }
  if (plan.host_propagation != 0) {
    const Fd slash = TRY(sys::Open("/", O_PATH | O_DIRECTORY));
    TRY(sys::SetMountAttributes(slash.get(), 0, 0, plan.host_propagation, true, "/"));
  }
  const Fd place = TRY(sys::Open(plan.path, O_PATH | O_DIRECTORY));
  if (plan.host_propagation == 0) {
    TRY(MakeParentPrivate(place.get()));
  }
  handles.root = TRY(RootTree(plan, place.get(), std::move(verified)));
  TRY(sys::MoveMount(handles.root.get(), place.get(), plan.path));
  if (plan.mode == oci::RootfsMode::kOverlay) {
    handles.root = TRY_IN("root.path: overlay", OverlayOnRoot(handles.root.get(), plan));
  }
  TRY(NoteHeld(handles.ledger.get(), handles.root.get(),
               {.path = "/", .set = plan.readonly ? std::uint64_t{MOUNT_ATTR_RDONLY} : 0}));
  if (plan.host_propagation == 0) {
    TRY(sys::SetMountAttributes(handles.root.get(), 0, 0, MS_PRIVATE, false, plan.path));
  }
  return handles;
}

Result<> EnterRoot(const plan::Rootfs& plan, const Handles& handles) {
  if (::fchdir(handles.root.get()) != 0) {
    return std::unexpected(SysError("chdir", plan.path));
  }
  if (plan.pivot) {
    const Fd old_root = TRY(sys::Open("/", O_PATH | O_DIRECTORY));
    // The new root is stacked on the old one at the same place; what lies under it, the host's whole tree, is let go.
    if (::syscall(SYS_pivot_root, ".", ".") != 0) {
      return std::unexpected(SysError("pivot_root", plan.path));
    }
    // Mounts that are still the host's peers would take that with them: the host would lose all that is mounted on it.
    if (plan.host_propagation == 0) {
      TRY(sys::SetMountAttributes(old_root.get(), 0, 0, MS_SLAVE, true, "the old root"));
    }
    if (::umount2(".", MNT_DETACH) != 0) {
      return std::unexpected(SysError("umount", "the old root"));
    }
  } else {
    // For a root on a ramfs, where pivot_root is not to be had: the root is moved over "/" and the rest is out of reach
    // by chroot.
    if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) {
      return std::unexpected(SysError("move the root mount of", plan.path));
    }
    if (::chroot(".") != 0) {
      return std::unexpected(SysError("chroot", plan.path));
    }
  }
  if (::chdir("/") != 0) {
    return std::unexpected(SysError("chdir", "/"));
  }
  return {};
}

}  // namespace nucleus::rootfs
