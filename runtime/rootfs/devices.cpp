// /dev of the container: nodes and links, each made in a directory that was resolved once and never through a link.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>

#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

constexpr long kProcMagic = 0x9fa0;

mode_t TypeBits(char type) {
  return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

// /dev itself must be a directory of the rootfs: behind a link, nodes would be made elsewhere (CVE-2026-41579).
Result<Fd> OpenDev(const Resolver& resolver) {
  Result<Fd> dev = resolver.OpenNoSymlinks("/dev", O_PATH | O_DIRECTORY);
  if (!dev && dev.error().code == ENOENT) {
    return resolver.MakeDirectory("/dev");
  }
  return dev;
}

Result<> CheckExisting(const Resolver::Entry& entry, const plan::DeviceNode& device) {
  struct stat status{};
  if (::fstatat(entry.parent.get(), entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::unexpected(SysError("stat", device.path));
  }
  const bool same =
      (status.st_mode & S_IFMT) == TypeBits(device.type) && (device.type == 'p' || status.st_rdev == device.number);
  if (!same) {
    return std::unexpected(Failure("create device " + device.path + ": a different file exists there", EEXIST));
  }
  return {};
}

Result<> MakeNode(const Resolver& resolver, const plan::DeviceNode& device) {
  const Resolver::Entry entry = TRY(resolver.MakeParent(device.path));
  const int directory = entry.parent.get();
  if (::mknodat(directory, entry.name.c_str(), TypeBits(device.type) | device.mode, device.number) != 0) {
    if (errno != EEXIST) {
      return std::unexpected(SysError("mknod", device.path));
    }
    return CheckExisting(entry, device);
  }
  if (::fchownat(directory, entry.name.c_str(), device.uid, device.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::unexpected(SysError("chown", device.path));
  }
  // chown clears the set-id bits, and umask is 0 here: the mode that mknod gave is right unless it had those.
  if ((device.mode & 06000) != 0) {
    const Fd node = TRY(sys::OpenAt2(directory, entry.name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH));
    if (::fchmodat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(node.get())).c_str(), device.mode, 0) != 0) {
      return std::unexpected(SysError("chmod", device.path));
    }
  }
  return {};
}

Result<> BindNode(const Resolver& resolver, const plan::DeviceNode& device, int source, Ledger* ledger) {
  const Resolver::Entry entry = TRY(resolver.MakeParent(device.path));
  const Fd made{::openat(entry.parent.get(), entry.name.c_str(),
                         O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0666)};
  if (!made) {
    if (errno != EEXIST) {
      return std::unexpected(SysError("create", device.path));
    }
    struct stat status{};
    const bool node = ::fstatat(entry.parent.get(), entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                      !S_ISREG(status.st_mode);
    if (node) {
      return CheckExisting(entry, device);
    }
  }
  const Fd target = TRY(sys::OpenAt2(entry.parent.get(), entry.name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH));
  Fd tree = TRY(sys::CloneTree(source, "", false, device.path));
  TRY(sys::MoveMount(tree.get(), target.get(), device.path));
  return Note(ledger, std::move(tree), {.what = Placed::kNode, .path = device.path});
}

Result<> Link(int dev, const char* target, const char* name) {
  if (::symlinkat(target, dev, name) != 0 && errno != EEXIST) {
    return std::unexpected(SysError("symlink", std::string{"/dev/"} + name));
  }
  return {};
}

// "If the source exists after mounts": /proc/self/fd does exactly when a procfs is mounted at /proc.
bool HasProc(const Resolver& resolver) {
  const Result<Fd> proc = resolver.OpenNoSymlinks("/proc", O_PATH | O_DIRECTORY);
  struct statfs status{};
  return proc && ::fstatfs(proc->get(), &status) == 0 && status.f_type == kProcMagic;
}

Result<> MakeLinks(const Resolver& resolver) {
  const Fd dev = TRY(OpenDev(resolver));
  if (HasProc(resolver)) {
    TRY(Link(dev.get(), "/proc/self/fd", "fd"));
    TRY(Link(dev.get(), "/proc/self/fd/0", "stdin"));
    TRY(Link(dev.get(), "/proc/self/fd/1", "stdout"));
    TRY(Link(dev.get(), "/proc/self/fd/2", "stderr"));
    if (::access("/proc/kcore", F_OK) == 0) {
      TRY(Link(dev.get(), "/proc/kcore", "core"));
    }
  }
  // Always the container's own terminals: a node that the image brought is replaced.
  struct stat status{};
  if (::fstatat(dev.get(), "ptmx", &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(status.st_mode)) {
    if (::unlinkat(dev.get(), "ptmx", 0) != 0) {
      return std::unexpected(SysError("unlink", "/dev/ptmx"));
    }
  }
  return Link(dev.get(), "pts/ptmx", "ptmx");
}

}  // namespace

Result<> MakeDevices(const plan::Rootfs& plan, const Handles& handles) {
  const Resolver resolver{handles.root.get()};
  if (plan.populate_dev) {
    // Before any node: the parents of the nodes are made below a /dev that is known to be plain.
    TRY(OpenDev(resolver));
  }
  for (std::size_t i = 0; i < plan.devices.size(); ++i) {
    const plan::DeviceNode& device = plan.devices[i];
    if (plan.bind_devices && device.type != 'p') {
      TRY(BindNode(resolver, device, handles.device_sources[i].get(), handles.ledger.get()));
    } else {
      TRY(MakeNode(resolver, device));
    }
  }
  if (plan.populate_dev) {
    TRY(MakeLinks(resolver));
  }
  return {};
}

}  // namespace nucleus::rootfs
