#include "runtime/rootfs/copy_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/fd.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

// A tree of the image is hostile; deeper than this is an error, not a full stack.
constexpr int kMaxDepth = 64;

Result<> CopyAttributes(int from, int to, const std::string& name) {
  const struct stat status = TRY(sys::Fstat(from, name));
  if (::fchown(to, status.st_uid, status.st_gid) != 0 || ::fchmod(to, status.st_mode & 07777) != 0) {
    return std::unexpected(SysError("copy attributes of", name));
  }
  const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
  if (::futimens(to, times.data()) != 0) {
    return std::unexpected(SysError("copy times of", name));
  }
  return {};
}

Result<> CopyFile(int from_dir, int to_dir, const char* entry, const std::string& name) {
  const Fd from =
      TRY(sys::OpenAt2(from_dir, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  const Fd to{::openat(to_dir, entry, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!to) {
    return std::unexpected(SysError("create", name));
  }
  for (;;) {
    constexpr std::size_t kChunk = std::size_t{1} << 20;
    const ssize_t count = ::sendfile(to.get(), from.get(), nullptr, kChunk);
    if (count < 0) {
      return std::unexpected(SysError("copy", name));
    }
    if (count == 0) {
      return CopyAttributes(from.get(), to.get(), name);
    }
  }
}

Result<> CopyTree(int from, int to, const std::string& name, int depth);

Result<> CopyEntry(int from, int to, const char* entry, const std::string& name, int depth) {
  struct stat status{};
  if (::fstatat(from, entry, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::unexpected(SysError("stat", name));
  }
  if (S_ISREG(status.st_mode)) {
    return CopyFile(from, to, entry, name);
  }
  if (S_ISDIR(status.st_mode)) {
    if (::mkdirat(to, entry, 0700) != 0) {
      return std::unexpected(SysError("mkdir", name));
    }
    const Fd below =
        TRY(sys::OpenAt2(from, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
    const Fd made = TRY(sys::OpenAt2(to, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH));
    return CopyTree(below.get(), made.get(), name, depth + 1);
  }
  if (S_ISLNK(status.st_mode)) {
    const std::string target = TRY(sys::ReadLinkAt(from, entry));
    if (::symlinkat(target.c_str(), to, entry) != 0) {
      return std::unexpected(SysError("symlink", name));
    }
  } else if (::mknodat(to, entry, status.st_mode, status.st_rdev) != 0) {
    return std::unexpected(SysError("mknod", name));
  }
  if (::fchownat(to, entry, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::unexpected(SysError("chown", name));
  }
  return {};
}

Result<> CopyTree(int from, int to, const std::string& name, int depth) {
  if (depth > kMaxDepth) {
    return std::unexpected(SysError("tmpcopyup", name, ELOOP));
  }
  Fd list = TRY(sys::OpenAt2(from, ".", O_RDONLY | O_DIRECTORY, 0));
  const std::unique_ptr<DIR, int (*)(DIR*)> directory{::fdopendir(list.get()), ::closedir};
  if (!directory) {
    return std::unexpected(SysError("open", name));
  }
  list.Release();
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view text{entry->d_name};
    if (text != "." && text != "..") {
      TRY(CopyEntry(from, to, entry->d_name, name + "/" + entry->d_name, depth));
    }
  }
  return CopyAttributes(from, to, name);
}

}  // namespace

Result<> CopyUp(int from, int to, const std::string& name, Keep keep) {
  // `from` was opened as a place alone (O_PATH); this opens the same place for reading.
  const Fd readable = TRY(sys::OpenAt2(from, ".", O_RDONLY | O_DIRECTORY, 0));
  const Fd writable = TRY(sys::OpenAt2(to, ".", O_RDONLY | O_DIRECTORY, 0));
  const struct stat before = TRY(sys::Fstat(writable.get(), name));
  TRY(CopyTree(readable.get(), writable.get(), name, 0));
  // The owner first: changing it takes the set-id bits away.
  if (keep.owner && ::fchown(writable.get(), before.st_uid, before.st_gid) != 0) {
    return std::unexpected(SysError("chown", name));
  }
  if (keep.mode && ::fchmod(writable.get(), before.st_mode & 07777) != 0) {
    return std::unexpected(SysError("chmod", name));
  }
  return {};
}

}  // namespace nucleus::rootfs
