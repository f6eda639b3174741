// A walk over a directory tree by descriptors: links are never followed.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::front {

// Calls `visit(directory, name, path, status)` for each entry below `directory`, a directory before what is in it or,
// with `inner_first`, after that. `path` is relative to where the walk began.
template <class Visit>
Result<> Walk(int directory, bool inner_first, Visit visit, const std::string& prefix = "", int depth = 0) {
  constexpr int kMaxDepth = 256;
  if (depth > kMaxDepth) {
    return std::unexpected(Failure("a directory tree that is too deep", ELOOP));
  }
  Fd own{::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!own) {
    return std::unexpected(SysError("open", prefix));
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(own.get()), ::closedir};
  if (!stream) {
    return std::unexpected(SysError("read", prefix));
  }
  own.Release();
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): one thread
    const std::string name{entry->d_name};
    if (name == "." || name == "..") {
      continue;
    }
    const std::string path = prefix.empty() ? name : prefix + "/" + name;
    struct stat status{};
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return std::unexpected(SysError("stat", path));
    }
    if (!inner_first) {
      TRY(visit(directory, name, path, status));
    }
    if (S_ISDIR(status.st_mode)) {
      const Fd below{::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
      if (!below) {
        return std::unexpected(SysError("open", path));
      }
      TRY(Walk(below.get(), inner_first, visit, path, depth + 1));
    }
    if (inner_first) {
      TRY(visit(directory, name, path, status));
    }
  }
  return {};
}

}  // namespace nucleus::front
