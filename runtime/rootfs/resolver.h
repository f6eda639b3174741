// The one way to a path inside a rootfs. Everything that is made, opened or mounted there goes through it: the kernel
// resolves the path in one step with the root as its limit (openat2, RESOLVE_IN_ROOT), and the descriptor that comes
// back is what is used. No path is resolved twice.
// Source: openat2(2).
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::rootfs {

class Resolver {
 public:
  // `root` stays the caller's and must outlive the resolver.
  explicit Resolver(int root) : root_(root) {
  }

  [[nodiscard]] int root() const {
    return root_;
  }

  // Opens an existing path; symbolic links are followed inside the root, magic links never. `flags` as open(2)'s.
  [[nodiscard]] Result<Fd> Open(const std::string& path, int flags) const;

  // The same, and no symbolic link anywhere on the way: ELOOP.
  [[nodiscard]] Result<Fd> OpenNoSymlinks(const std::string& path, int flags) const;

  // An O_PATH descriptor of the directory at path, made with its parents (0755) where missing.
  [[nodiscard]] Result<Fd> MakeDirectory(const std::string& path) const;

  // An O_PATH descriptor of what is at path; where nothing is there, an empty regular file (0644) is made.
  [[nodiscard]] Result<Fd> MakeFile(const std::string& path) const;

  // The directory that holds path's last component (made where missing), and that component's name.
  struct Entry {
    Fd parent;
    std::string name;
  };
  [[nodiscard]] Result<Entry> MakeParent(const std::string& path) const;

 private:
  [[nodiscard]] Result<Fd> Make(const std::string& path, bool directory, int links, int depth) const;
  int root_;
};

}  // namespace nucleus::rootfs
