// maskedPaths, readonlyPaths, and the root's own read-only flag.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

// One empty, read-only tmpfs serves every masked directory.
class EmptyDirectory {
 public:
  Result<Fd> Copy() {
    if (!mount_) {
      const Fd fs = TRY(sys::FsOpen("tmpfs"));
      TRY(sys::FsConfigString(fs.get(), "mode", "755"));
      TRY(sys::FsConfigString(fs.get(), "nr_inodes", "1"));
      TRY(sys::FsConfigString(fs.get(), "size", "0"));
      TRY(sys::FsConfigFlag(fs.get(), "ro"));
      TRY(sys::FsConfigCreate(fs.get()));
      mount_ =
          TRY(sys::FsMount(fs.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
      return sys::CloneTree(mount_.get(), "", false, "masking tmpfs");
    }
    return sys::CloneTree(mount_.get(), "", false, "masking tmpfs");
  }

 private:
  Fd mount_;
};

bool Absent(const Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR;
}

}  // namespace

Result<> MaskPaths(const plan::Rootfs& plan, const Handles& handles) {
  const Resolver resolver{handles.root.get()};
  EmptyDirectory empty;
  for (const std::string& path : plan.masked_paths) {
    const Result<Fd> target = resolver.Open(path, O_PATH);
    if (!target) {
      if (Absent(target.error())) {
        continue;
      }
      return std::unexpected(Context("mask " + path, target.error()));
    }
    const struct stat status = TRY(sys::Fstat(target->get(), path));
    // The host's /dev/null, held since before the rootfs was touched: what the image calls /dev/null does not matter.
    const Fd cover =
        TRY_IN("mask " + path,
               S_ISDIR(status.st_mode) ? empty.Copy() : sys::CloneTree(handles.null.get(), "", false, "/dev/null"));
    TRY_IN("mask " + path, sys::MoveMount(cover.get(), target->get(), path));
  }
  return {};
}

Result<> MakeReadonly(const plan::Rootfs& plan, const Handles& handles) {
  const Resolver resolver{handles.root.get()};
  for (const std::string& path : plan.readonly_paths) {
    const Result<Fd> target = resolver.Open(path, O_PATH);
    if (!target) {
      if (Absent(target.error())) {
        continue;
      }
      return std::unexpected(Context("make read-only " + path, target.error()));
    }
    const Fd tree = TRY_IN("make read-only " + path, sys::CloneTree(target->get(), "", true, path));
    TRY(sys::SetMountAttributes(tree.get(), MOUNT_ATTR_RDONLY, 0, 0, true, path));
    TRY_IN("make read-only " + path, sys::MoveMount(tree.get(), target->get(), path));
  }
  if (plan.readonly) {
    TRY(sys::SetMountAttributes(handles.root.get(), MOUNT_ATTR_RDONLY, 0, 0, false, "/"));
  }
  if (plan.root_propagation != 0) {
    TRY(sys::SetMountAttributes(handles.root.get(), 0, 0, plan.root_propagation, false, "/"));
  }
  return {};
}

}  // namespace nucleus::rootfs
