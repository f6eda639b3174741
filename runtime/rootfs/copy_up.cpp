#include "runtime/rootfs/copy_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <utility>

#include "base/fd.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

// A tree of the image is hostile; deeper than this is an error, not a full stack or no descriptor left (three each).
constexpr int kMaxDepth = 64;
constexpr int kMaxDepthOfAll = 256;
// The kernel's own bounds.
constexpr std::size_t kMostOfNames = 65536;
constexpr std::size_t kMostOfAValue = 65536;

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

// After the owner, whose change takes file capabilities away. `from` and `to` are open for reading or writing.
Result<> CopyExtended(int from, int to, const std::string& name) {
  std::string names(kMostOfNames, '\0');
  const ssize_t size = ::flistxattr(from, names.data(), names.size());
  if (size < 0 && errno != ENOTSUP) {
    return std::unexpected(SysError("list extended attributes of", name));
  }
  std::string value(size > 0 ? kMostOfAValue : 0, '\0');
  for (std::size_t at = 0; size > 0 && at < static_cast<std::size_t>(size);) {
    const std::string attribute{names.c_str() + at};
    at += attribute.size() + 1;
    // The policy labels what is made in a tmpfs.
    if (attribute == "security.selinux") {
      continue;
    }
    const ssize_t length = ::fgetxattr(from, attribute.c_str(), value.data(), value.size());
    if (length < 0 || ::fsetxattr(to, attribute.c_str(), value.data(), static_cast<std::size_t>(length), 0) != 0) {
      return std::unexpected(SysError("copy " + attribute + " of", name));
    }
  }
  return {};
}

class Copier {
 public:
  Copier(bool whole, int top) : whole_(whole), top_(top) {
  }

  // `name` begins with that of the whole tree; `path` is the same place below it, "" for the tree itself.
  Result<> Tree(int from, int to, const std::string& name, const std::string& path, int depth) {
    if (depth > (whole_ ? kMaxDepthOfAll : kMaxDepth)) {
      return std::unexpected(SysError("copy", name, ELOOP));
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
        TRY(Entry(from, to, entry->d_name, name + "/" + entry->d_name,
                  path.empty() ? std::string{text} : path + "/" + entry->d_name, depth));
      }
    }
    return Attributes(from, to, name);
  }

 private:
  Result<> Attributes(int from, int to, const std::string& name) {
    TRY(CopyAttributes(from, to, name));
    return whole_ ? CopyExtended(from, to, name) : Result<>{};
  }

  Result<> File(int from_dir, int to_dir, const char* entry, const std::string& name) {
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
        return Attributes(from.get(), to.get(), name);
      }
    }
  }

  // True where it is another name of what is there already.
  Result<bool> Linked(const struct stat& status, int to, const char* entry, const std::string& name,
                      const std::string& path) {
    if (!whole_ || status.st_nlink < 2 || S_ISDIR(status.st_mode)) {
      return false;
    }
    const auto [first, added] = links_.try_emplace({status.st_dev, status.st_ino}, path);
    if (!added && ::linkat(top_, first->second.c_str(), to, entry, 0) != 0) {
      return std::unexpected(SysError("link", name));
    }
    return !added;
  }

  Result<> Entry(int from, int to, const char* entry, const std::string& name, const std::string& path, int depth) {
    struct stat status{};
    if (::fstatat(from, entry, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return std::unexpected(SysError("stat", name));
    }
    if (TRY(Linked(status, to, entry, name, path))) {
      return {};
    }
    if (S_ISREG(status.st_mode)) {
      return File(from, to, entry, name);
    }
    if (S_ISDIR(status.st_mode)) {
      if (::mkdirat(to, entry, 0700) != 0) {
        return std::unexpected(SysError("mkdir", name));
      }
      const Fd below =
          TRY(sys::OpenAt2(from, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
      const Fd made = TRY(sys::OpenAt2(to, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH));
      return Tree(below.get(), made.get(), name, path, depth + 1);
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
    // A change of the owner takes the set-id bits away, and the mode of a node is as the umask left it.
    if (whole_ && !S_ISLNK(status.st_mode) && ::fchmodat(to, entry, status.st_mode & 07777, 0) != 0) {
      return std::unexpected(SysError("chmod", name));
    }
    const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    if (whole_ && ::utimensat(to, entry, times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
      return std::unexpected(SysError("copy times of", name));
    }
    return {};
  }

  bool whole_;
  int top_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

Result<> CopyUp(int from, int to, const std::string& name, Keep keep) {
  // `from` was opened as a place alone (O_PATH); this opens the same place for reading.
  const Fd readable = TRY(sys::OpenAt2(from, ".", O_RDONLY | O_DIRECTORY, 0));
  const Fd writable = TRY(sys::OpenAt2(to, ".", O_RDONLY | O_DIRECTORY, 0));
  const struct stat before = TRY(sys::Fstat(writable.get(), name));
  TRY((Copier{keep.whole, writable.get()}.Tree(readable.get(), writable.get(), name, "", 0)));
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
