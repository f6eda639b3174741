// maskedPaths, readonlyPaths, and the root's own read-only flag.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

// One empty, read-only tmpfs serves every masked directory: made for the first, copied from there for the others (a
// mount can be copied only while it is attached).
class EmptyDirectory {
 public:
  explicit EmptyDirectory(Ledger* ledger) : ledger_(ledger) {
  }

  Result<> Cover(int target, const std::string& path) {
    if (first_) {
      Fd copy = TRY(sys::CloneTree(first_.get(), "", false, "masking tmpfs"));
      TRY(sys::MoveMount(copy.get(), target, path));
      return Note(ledger_, std::move(copy), {.what = Placed::kMask, .path = path, .set = kAttributes});
    }
    const Fd fs = TRY(sys::FsOpen("tmpfs"));
    TRY(sys::FsConfigString(fs.get(), "mode", "755"));
    TRY(sys::FsConfigString(fs.get(), "nr_inodes", "1"));
    TRY(sys::FsConfigString(fs.get(), "size", "0"));
    TRY(sys::FsConfigFlag(fs.get(), "ro"));
    TRY(sys::FsConfigCreate(fs.get()));
    Fd mount = TRY(sys::FsMount(fs.get(), kAttributes));
    TRY(sys::MoveMount(mount.get(), target, path));
    TRY(NoteCopy(ledger_, mount.get(), {.what = Placed::kMask, .path = path, .set = kAttributes}));
    first_ = std::move(mount);
    return {};
  }

 private:
  static constexpr std::uint64_t kAttributes =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  Ledger* ledger_;
  Fd first_;
};

// The host's /dev/null, held since before the rootfs was touched: what the image calls /dev/null does not matter.
Result<> CoverFile(const Handles& handles, int target, const std::string& path) {
  Fd copy = TRY(sys::CloneTree(handles.null.get(), "", false, "/dev/null"));
  TRY(sys::MoveMount(copy.get(), target, path));
  return Note(handles.ledger.get(), std::move(copy), {.what = Placed::kMask, .path = path});
}

bool Absent(const Error& error) {
  return error.code == ENOENT || error.code == ENOTDIR;
}

}  // namespace

Result<> MaskPaths(const plan::Rootfs& plan, const Handles& handles) {
  const Resolver resolver{handles.root.get()};
  EmptyDirectory empty{handles.ledger.get()};
  for (const std::string& path : plan.masked_paths) {
    const Result<Fd> target = resolver.Open(path, O_PATH);
    if (!target) {
      if (Absent(target.error())) {
        continue;
      }
      return std::unexpected(Context("mask " + path, target.error()));
    }
    const struct stat status = TRY(sys::Fstat(target->get(), path));
    TRY_IN("mask " + path,
           S_ISDIR(status.st_mode) ? empty.Cover(target->get(), path) : CoverFile(handles, target->get(), path));
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
    Fd tree = TRY_IN("make read-only " + path, sys::CloneTree(target->get(), "", true, path));
    TRY(sys::SetMountAttributes(tree.get(), MOUNT_ATTR_RDONLY, 0, 0, true, path));
    TRY_IN("make read-only " + path, sys::MoveMount(tree.get(), target->get(), path));
    TRY(Note(handles.ledger.get(), std::move(tree),
             {.what = Placed::kReadonly,
              .path = path,
              .set = MOUNT_ATTR_RDONLY,
              .recursive = true,
              .set_below = MOUNT_ATTR_RDONLY}));
  }
  return {};
}

Result<> FinishRoot(const plan::Rootfs& plan, const Handles& handles) {
  if (plan.readonly) {
    TRY(sys::SetMountAttributes(handles.root.get(), MOUNT_ATTR_RDONLY, 0, 0, false, "/"));
  }
  if (plan.root_propagation != 0) {
    TRY(sys::SetMountAttributes(handles.root.get(), 0, 0, plan.root_propagation, false, "/"));
  }
  return {};
}

}  // namespace nucleus::rootfs
