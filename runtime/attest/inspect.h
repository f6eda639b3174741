// One entry of a tree, looked at through descriptors: nothing is followed, nothing but files and directories is opened
// for reading, and nothing is looked at that lies beyond a mount point.
// Source: openat2(2), statx(2), Documentation/filesystems/fsverity.rst.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "runtime/attest/manifest.h"

namespace nucleus::attest {

struct Handle {
  std::string path;  // as in Entry
  Fd node;           // O_PATH: the entry itself, also where it is a link
  Fd open;           // O_RDONLY: of a file or directory, once OpenToRead has been called
  struct statx status{};
  [[nodiscard]] bool Is(mode_t type) const {
    return (status.stx_mode & S_IFMT) == type;
  }
};

// A directory tree, and what is mounted in it: by its path, a file or a directory, in place of the entry of the same
// type that the tree has there; none below another. All descriptors are borrowed and may be O_PATH.
struct TreeRoot {
  int root = -1;
  std::map<std::string, int, std::less<>> grafts;
};

// Not shared between threads: it has the buffer that files are read into. Errors name no path.
class Inspector {
 public:
  // `own_fds` is a descriptor of /proc/self/fd. Both are borrowed.
  Inspector(const TreeRoot& tree, int own_fds);

  // openat2 with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV: EXDEV at a mount point. A graft is a tree of
  // its own.
  [[nodiscard]] Result<Handle> Open(std::string path) const;
  // The very inode of the handle. Errors where it is neither a file nor a directory.
  Result<> OpenToRead(Handle& handle) const;

  // Everything but content and verity. OpenToRead has to come first for files and directories.
  Result<Entry> Describe(const Handle& handle);
  // Reads the file. EBUSY where it is not at the end what it was when it was opened.
  Result<Sha256::Digest> Hash(const Handle& handle);
  // What the kernel measures of a file with fs-verity; nothing where the filesystem is not one of those that keep
  // fs-verity themselves (ext4, f2fs, btrfs), the file has none, or its algorithm is not SHA-256.
  [[nodiscard]] static Result<std::optional<Sha256::Digest>> Measure(const Handle& handle);
  // Calls `each` for every name in the directory. EBUSY as Hash.
  Result<> List(const Handle& handle, const std::function<Result<>(std::string_view)>& each);

 private:
  [[nodiscard]] Result<> Unchanged(const Handle& handle) const;
  Result<std::vector<Xattr>> Xattrs(const Handle& handle);

  const TreeRoot& tree_;
  int own_fds_;
  std::unique_ptr<char[]> buffer_;
};

// Opens /proc/self/fd and makes sure that it is procfs's.
Result<Fd> OpenOwnFds();

}  // namespace nucleus::attest
