// Source: Documentation/filesystems/overlayfs.rst, tmpfs(5).

#include "runtime/rootfs/own_root.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "runtime/rootfs/copy_up.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

Result<Fd> MakeTmpfs(const plan::Rootfs& plan, std::uint64_t attributes) {
  const Fd fs = TRY(sys::FsOpen("tmpfs"));
  TRY(sys::FsConfigString(fs.get(), "source", "nucleus-root"));
  TRY(sys::FsConfigString(fs.get(), "mode", "0755"));
  if (plan.tmpfs_size != 0) {
    TRY(sys::FsConfigString(fs.get(), "size", std::to_string(plan.tmpfs_size)));
  }
  TRY(sys::FsConfigCreate(fs.get()));
  return sys::FsMount(fs.get(), attributes);
}

// What the host's mount of the bundle forbids stays forbidden.
Result<std::uint64_t> Forbidden(int directory, const plan::Rootfs& plan) {
  struct statvfs status{};
  if (::fstatvfs(directory, &status) != 0) {
    return std::unexpected(SysError("statvfs", plan.path));
  }
  return ((status.f_flag & ST_NOSUID) != 0 ? std::uint64_t{MOUNT_ATTR_NOSUID} : 0) |
         ((status.f_flag & ST_NODEV) != 0 ? std::uint64_t{MOUNT_ATTR_NODEV} : 0) |
         ((status.f_flag & ST_NOEXEC) != 0 ? std::uint64_t{MOUNT_ATTR_NOEXEC} : 0);
}

// By descriptor: no path of the image is in an option, and none has a character that means something there.
std::string PathOf(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

// The root directory of the overlay is the upper layer's. An owner without a mapping here stays the container's root.
Result<> TakeAttributes(int lower, int upper) {
  const struct stat status = TRY(sys::Fstat(lower, "the root"));
  if (::fchown(upper, status.st_uid, status.st_gid) != 0 && errno != EINVAL && errno != EPERM && errno != EOVERFLOW) {
    return std::unexpected(SysError("chown", "the root's upper layer"));
  }
  if (::fchmod(upper, status.st_mode & 07777) != 0) {
    return std::unexpected(SysError("chmod", "the root's upper layer"));
  }
  return {};
}

}  // namespace

Result<Fd> CopyOfRoot(int from, const plan::Rootfs& plan) {
  const std::uint64_t forbidden = TRY(Forbidden(from, plan));
  Fd tmpfs = TRY(MakeTmpfs(plan, forbidden));
  FAULT_POINT("root.copy");
  TRY(CopyUp(from, tmpfs.get(), plan.path, {.whole = true}));
  TRY(sys::SetMountAttributes(tmpfs.get(), 0, 0, MS_PRIVATE, false, plan.path));
  return tmpfs;
}

Result<Fd> OverlayOnRoot(int lower, const plan::Rootfs& plan) {
  const Fd tmpfs = TRY(MakeTmpfs(plan, 0));
  FAULT_POINT("root.overlay");
  // Attached, as older kernels want all layers to be; the overlay hides it, and it goes with the host's tree.
  TRY(sys::MoveMount(tmpfs.get(), lower, plan.path));
  for (const char* name : {"upper", "work"}) {
    if (::mkdirat(tmpfs.get(), name, 0700) != 0) {
      return std::unexpected(SysError("mkdir", name));
    }
  }
  const Fd upper = TRY(sys::OpenAt2(tmpfs.get(), "upper", O_RDONLY | O_DIRECTORY, 0));
  const Fd work = TRY(sys::OpenAt2(tmpfs.get(), "work", O_RDONLY | O_DIRECTORY, 0));
  TRY(TakeAttributes(lower, upper.get()));
  const Fd fs = TRY(sys::FsOpen("overlay"));
  TRY(sys::FsConfigString(fs.get(), "source", "nucleus-root"));
  for (const auto& [key, fd] : std::to_array<std::pair<const char*, int>>(
           {{"lowerdir", lower}, {"upperdir", upper.get()}, {"workdir", work.get()}})) {
    TRY(sys::FsConfigString(fs.get(), key, PathOf(fd)));
  }
  if (plan.in_user_namespace) {
    // trusted.* is the host's; without either a directory that replaces another cannot be made.
    TRY(sys::FsConfigFlag(fs.get(), "userxattr"));
  }
  TRY(sys::FsConfigCreate(fs.get()));
  const std::uint64_t forbidden = TRY(Forbidden(lower, plan));
  Fd overlay = TRY(sys::FsMount(fs.get(), forbidden));
  TRY(sys::MoveMount(overlay.get(), tmpfs.get(), plan.path));
  return overlay;
}

}  // namespace nucleus::rootfs
