#include "runtime/attest/inspect.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/sys/syscalls.h"

namespace nucleus::attest {
namespace {

// Fits a processor's second cache. Two halves of it take any list of xattrs and any value (XATTR_LIST_MAX and
// XATTR_SIZE_MAX are 64 KiB).
constexpr std::size_t kBuffer = std::size_t{128} << 10;
constexpr std::size_t kXattrMost = std::size_t{64} << 10;

constexpr unsigned kStatMask = STATX_BASIC_STATS;

std::unexpected<Error> Errno(int err = errno) {
  return std::unexpected(Error{.message = ErrnoText(err), .code = err});
}

std::unexpected<Error> Changed() {
  return std::unexpected(Error{.message = "changed while it was read", .code = EBUSY});
}

// Relative to the root, as the system calls want it.
const char* BelowRoot(const std::string& path) {
  return path == "/" ? "." : path.c_str() + 1;
}

bool SameTime(const struct statx_timestamp& one, const struct statx_timestamp& other) {
  return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

bool SameInode(const struct statx& one, const struct statx& other) {
  return one.stx_dev_major == other.stx_dev_major && one.stx_dev_minor == other.stx_dev_minor &&
         one.stx_ino == other.stx_ino && (one.stx_mode & S_IFMT) == (other.stx_mode & S_IFMT);
}

// Filesystems whose fs-verity is the kernel's own. One that a server answers for (FUSE) could measure what it likes.
bool KeepsVerity(int fd) {
  struct statfs status{};
  return ::fstatfs(fd, &status) == 0 &&
         (status.f_type == EXT4_SUPER_MAGIC || status.f_type == F2FS_SUPER_MAGIC || status.f_type == BTRFS_SUPER_MAGIC);
}

// Where an entry is looked up: in the tree, or in the graft that it is (`name` is empty) or lies in.
struct Place {
  int directory = -1;
  const char* name = "";
};

// Points into `path`.
Place PlaceOf(const TreeRoot& tree, const std::string& path) {
  for (std::size_t end = 1; !tree.grafts.empty() && end < path.size();) {
    end = std::min(path.find('/', end + 1), path.size());
    if (const auto graft = tree.grafts.find(std::string_view{path}.substr(0, end)); graft != tree.grafts.end()) {
      return {.directory = graft->second, .name = path.c_str() + std::min(end + 1, path.size())};
    }
  }
  return {.directory = tree.root, .name = BelowRoot(path)};
}

Result<> ReadStatus(Handle& handle) {
  if (::statx(handle.node.get(), "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, kStatMask, &handle.status) != 0) {
    return Errno();
  }
  if ((handle.status.stx_mask & kStatMask) != kStatMask) {
    return std::unexpected(Failure("the filesystem does not tell all of its status"));
  }
  return {};
}

Type TypeOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return Type::kDirectory;
    case S_IFLNK:
      return Type::kLink;
    case S_IFCHR:
      return Type::kCharacter;
    case S_IFBLK:
      return Type::kBlock;
    case S_IFIFO:
      return Type::kFifo;
    case S_IFSOCK:
      return Type::kSocket;
    default:
      return Type::kFile;
  }
}

// On another type it could not be mounted, and on a link it would be mounted somewhere else.
Result<Handle> OpenGraft(Handle place, int node) {
  Handle handle{.path = std::move(place.path)};
  handle.node = Fd{::fcntl(node, F_DUPFD_CLOEXEC, 0)};
  if (!handle.node) {
    return Errno();
  }
  TRY(ReadStatus(handle));
  if (!handle.Is(place.status.stx_mode & S_IFMT) || !(handle.Is(S_IFDIR) || handle.Is(S_IFREG))) {
    return std::unexpected(Error{.message = "its place is a " + std::string{TypeName(TypeOf(place.status.stx_mode))} +
                                            ", and what is to be there a " +
                                            std::string{TypeName(TypeOf(handle.status.stx_mode))},
                                 .code = ENOTDIR});
  }
  return handle;
}

}  // namespace

Inspector::Inspector(const TreeRoot& tree, int own_fds)
    : tree_(tree), own_fds_(own_fds), buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)) {
}

Result<Handle> Inspector::Open(std::string path) const {
  Handle handle{.path = std::move(path)};
  constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  Place place = PlaceOf(tree_, handle.path);
  const bool graft = *place.name == '\0';
  const int node_of_graft = place.directory;
  if (graft) {
    place = {.directory = tree_.root, .name = BelowRoot(handle.path)};
  }
  Result<Fd> node = sys::OpenAt2(place.directory, place.name, O_PATH | O_NOFOLLOW, kResolve);
  if (!node) {
    return node.error().code == EXDEV
               ? std::unexpected(Error{.message = "another filesystem is mounted here", .code = EXDEV})
               : Errno(node.error().code);
  }
  handle.node = *std::move(node);
  TRY(ReadStatus(handle));
  return graft ? OpenGraft(std::move(handle), node_of_graft) : Result<Handle>{std::move(handle)};
}

Result<> Inspector::OpenToRead(Handle& handle) const {
  if (handle.Is(S_IFDIR)) {
    handle.open = Fd{::openat(handle.node.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  } else if (handle.Is(S_IFREG)) {
    // By way of the descriptor: a name could stand for a device by now, and opening a device can do things.
    const std::string number = std::to_string(handle.node.get());
    handle.open = Fd{::openat(own_fds_, number.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC)};
  } else {
    return Errno(EINVAL);
  }
  if (!handle.open) {
    return Errno();
  }
  struct statx status{};
  if (::statx(handle.open.get(), "", AT_EMPTY_PATH, kStatMask, &status) != 0) {
    return Errno();
  }
  return SameInode(status, handle.status) ? Result<>{} : Result<>{Changed()};
}

Result<Entry> Inspector::Describe(const Handle& handle) {
  const struct statx& status = handle.status;
  Entry entry{.path = handle.path, .type = TypeOf(status.stx_mode), .uid = status.stx_uid, .gid = status.stx_gid};
  if (entry.type != Type::kLink) {
    entry.mode = status.stx_mode & 07777;
  }
  if (entry.type == Type::kFile) {
    entry.size = status.stx_size;
  } else if (entry.type == Type::kCharacter || entry.type == Type::kBlock) {
    entry.major = status.stx_rdev_major;
    entry.minor = status.stx_rdev_minor;
  } else if (entry.type == Type::kLink) {
    const ssize_t size = ::readlinkat(handle.node.get(), "", buffer_.get(), kBuffer);
    if (size < 0) {
      return Errno();
    }
    entry.target.assign(buffer_.get(), static_cast<std::size_t>(size));
  }
  entry.xattrs = TRY(Xattrs(handle));
  return entry;
}

Result<std::vector<Xattr>> Inspector::Xattrs(const Handle& handle) {
  // An O_PATH descriptor has no xattrs of its own; the link to it in /proc leads to the very inode, and no further.
  const std::string link = handle.open ? "" : "/proc/self/fd/" + std::to_string(handle.node.get());
  char* const names = buffer_.get();
  char* const value = names + kXattrMost;
  const ssize_t listed =
      handle.open ? ::flistxattr(handle.open.get(), names, kXattrMost) : ::listxattr(link.c_str(), names, kXattrMost);
  if (listed < 0) {
    return errno == ENOTSUP ? Result<std::vector<Xattr>>{} : Errno();
  }
  std::vector<Xattr> xattrs;
  for (const char* name = names; name < names + listed; name += std::strlen(name) + 1) {
    if (IsHostXattr(name)) {
      continue;
    }
    const ssize_t size = handle.open ? ::fgetxattr(handle.open.get(), name, value, kXattrMost)
                                     : ::getxattr(link.c_str(), name, value, kXattrMost);
    if (size < 0) {
      return errno == ENODATA ? Changed() : Errno();
    }
    xattrs.push_back({.name = name, .value = XattrValue({value, static_cast<std::size_t>(size)})});
  }
  std::ranges::sort(xattrs, {}, &Xattr::name);
  return xattrs;
}

Result<> Inspector::Unchanged(const Handle& handle) const {
  const struct statx& before = handle.status;
  struct statx now{};
  // By the name, so that it is seen as well when another inode has taken its place.
  const Place place = PlaceOf(tree_, handle.path);
  if (::statx(place.directory, place.name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kStatMask, &now) !=
      0) {
    return errno == ENOENT || errno == ENOTDIR ? Result<>{Changed()} : Result<>{Errno()};
  }
  const bool same = SameInode(before, now) && before.stx_mode == now.stx_mode && before.stx_uid == now.stx_uid &&
                    before.stx_gid == now.stx_gid && before.stx_size == now.stx_size &&
                    SameTime(before.stx_mtime, now.stx_mtime) && SameTime(before.stx_ctime, now.stx_ctime);
  return same ? Result<>{} : Result<>{Changed()};
}

Result<Sha256::Digest> Inspector::Hash(const Handle& handle) {
  Sha256 hash;
  std::uint64_t total = 0;
  for (;;) {
    const ssize_t count = ::read(handle.open.get(), buffer_.get(), kBuffer);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return Errno();
    }
    if (count == 0) {
      break;
    }
    total += static_cast<std::uint64_t>(count);
    if (total > handle.status.stx_size) {
      return Changed();
    }
    hash.Update(buffer_.get(), static_cast<std::size_t>(count));
  }
  if (total != handle.status.stx_size) {
    return Changed();
  }
  TRY(Unchanged(handle));
  return hash.Finish();
}

Result<std::optional<Sha256::Digest>> Inspector::Measure(const Handle& handle) {
  if ((handle.status.stx_attributes & STATX_ATTR_VERITY) == 0 || !KeepsVerity(handle.open.get())) {
    return std::nullopt;
  }
  constexpr std::size_t kMostBytes = 64;  // SHA-512
  alignas(fsverity_digest) std::array<unsigned char, sizeof(fsverity_digest) + kMostBytes> room{};
  auto* const digest = reinterpret_cast<fsverity_digest*>(room.data());
  digest->digest_size = kMostBytes;
  if (::ioctl(handle.open.get(), FS_IOC_MEASURE_VERITY, digest) != 0) {
    return Errno();
  }
  Sha256::Digest bytes{};
  if (digest->digest_algorithm != FS_VERITY_HASH_ALG_SHA256 || digest->digest_size != bytes.size()) {
    return std::nullopt;
  }
  std::memcpy(bytes.data(), room.data() + sizeof(fsverity_digest), bytes.size());
  return bytes;
}

Result<> Inspector::List(const Handle& handle, const std::function<Result<>(std::string_view)>& each) {
  for (;;) {
    const long size = ::syscall(SYS_getdents64, handle.open.get(), buffer_.get(), kBuffer);
    if (size < 0) {
      return Errno();
    }
    if (size == 0) {
      return Unchanged(handle);
    }
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer_.get() + at);
      const std::string_view name{entry->d_name};
      if (name != "." && name != "..") {
        TRY(each(name));
      }
      at += entry->d_reclen;
    }
  }
}

Result<Fd> OpenOwnFds() {
  Fd fds = TRY(sys::Open("/proc/self/fd", O_PATH | O_DIRECTORY));
  struct statfs status{};
  if (::fstatfs(fds.get(), &status) != 0 || status.f_type != PROC_SUPER_MAGIC) {
    return std::unexpected(Failure("/proc is not a procfs", ENODEV));
  }
  return fds;
}

}  // namespace nucleus::attest
