#include "front/sandbox/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "front/sandbox/tree_walk.h"
#include "runtime/rootfs/copy_up.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
Result<> CopyForSandbox(const std::string& source, const std::string& target, const Ids& ids, bool keep_owners) {
  const Fd from = TRY(sys::Open(source, O_PATH | O_DIRECTORY));
  const Fd to = TRY(sys::Open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  TRY(rootfs::CopyUp(from.get(), to.get(), source));
  if (!ids.privileged) {
    return {};
  }
  const auto give = [&](int directory, const std::string& name, const std::string&,
                        const struct stat& status) -> Result<> {
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
      return ::unlinkat(directory, name.c_str(), 0) == 0 ? Result<>{} : std::unexpected(SysError("unlink", name));
    }
    const auto uid = ids.HostUid(keep_owners ? status.st_uid : ids.uid);
    const auto gid = ids.HostGid(keep_owners ? status.st_gid : ids.gid);
    if (!uid || !gid) {
      return std::unexpected(Failure("sandbox: " + name + " belongs to an id that the sandbox has not", EOVERFLOW));
    }
    if (::fchownat(directory, name.c_str(), *uid, *gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return std::unexpected(SysError("chown", name));
    }
    constexpr mode_t kSpecial = S_ISUID | S_ISGID;
    if (S_ISREG(status.st_mode) && (status.st_mode & kSpecial) != 0 &&
        ::fchmodat(directory, name.c_str(), status.st_mode & 07777 & ~kSpecial, 0) != 0) {
      return std::unexpected(SysError("chmod", name));
    }
    return {};
  };
  const struct stat status = TRY(sys::Fstat(to.get(), target));
  TRY_IN(source, Walk(to.get(), false, give));
  const auto uid = ids.HostUid(keep_owners ? status.st_uid : ids.uid);
  const auto gid = ids.HostGid(keep_owners ? status.st_gid : ids.gid);
  if (!uid || !gid || ::fchown(to.get(), *uid, *gid) != 0) {
    return std::unexpected(SysError("chown", target));
  }
  return {};
}

Result<> RemoveTree(const std::string& path) {
  const Fd directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!directory) {
    return errno == ENOENT ? Result<>{} : std::unexpected(SysError("open", path));
  }
  TRY_IN(path, Walk(directory.get(), true,
                    [](int parent, const std::string& name, const std::string&, const struct stat& status) -> Result<> {
                      const int flags = S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0;
                      return ::unlinkat(parent, name.c_str(), flags) == 0 ? Result<>{}
                                                                          : std::unexpected(SysError("unlink", name));
                    }));
  return ::rmdir(path.c_str()) == 0 ? Result<>{} : std::unexpected(SysError("rmdir", path));
}

}  // namespace nucleus::front
