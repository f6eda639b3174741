#include "runtime/container/credentials.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string_view>

#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20;
constexpr std::size_t kMostInAll = std::size_t{16} << 20;
constexpr mode_t kDirectoryMode = 0500;
constexpr mode_t kFileMode = 0400;

// What `id` is on the host.
Result<std::uint32_t> OnHost(std::uint32_t id, const std::vector<oci::IdMapping>& mappings, const plan::Plan& plan,
                             const char* what) {
  if (!plan.namespaces.Creates(CLONE_NEWUSER)) {
    return id;
  }
  for (const oci::IdMapping& mapping : mappings) {
    if (id >= mapping.container_id && id - mapping.container_id < mapping.size) {
      return mapping.host_id + (id - mapping.container_id);
    }
  }
  return std::unexpected(Failure(std::string{what} + std::to_string(id) + " has no mapping", EINVAL));
}

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

Result<std::size_t> CopyOne(int from, int to, const std::string& name, const Owner& owner, std::size_t most) {
  // Looked at before it is opened: opening a FIFO would wait, opening a device does things.
  const Fd place = TRY(sys::OpenAt2(from, name, O_PATH | O_NOFOLLOW, 0));
  const struct stat status = TRY(sys::Fstat(place.get(), name));
  if (!S_ISREG(status.st_mode)) {
    return std::unexpected(Failure(name + ": not a regular file", EINVAL));
  }
  const Fd file = TRY(sys::Open("/proc/self/fd/" + std::to_string(place.get()), O_RDONLY));
  const std::string bytes = TRY(ReadAll(file.get(), std::min(most, kMostBytes), name));
  const Fd copy = TRY(sys::OpenAt2(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0, kFileMode));
  TRY(WriteAll(copy.get(), bytes, name));
  if (::fchown(copy.get(), owner.uid, owner.gid) != 0 || ::fchmod(copy.get(), kFileMode) != 0) {
    return std::unexpected(SysError("chown", name));
  }
  return bytes.size();
}

Result<> CopyAll(const Fd& from, int to, const Owner& owner) {
  const int again = ::fcntl(from.get(), F_DUPFD_CLOEXEC, 0);
  const std::unique_ptr<DIR, int (*)(DIR*)> list{again >= 0 ? ::fdopendir(again) : nullptr, ::closedir};
  if (list == nullptr) {
    return std::unexpected(SysError("fdopendir", ""));
  }
  std::size_t left = kMostInAll;
  errno = 0;
  while (const dirent* entry = ::readdir(list.get())) {
    const std::string name{entry->d_name};
    if (name != "." && name != "..") {
      left -= TRY(CopyOne(from.get(), to, name, owner, left));
    }
    errno = 0;
  }
  return errno == 0 ? Result<>{} : std::unexpected(SysError("readdir", ""));
}

}  // namespace

Result<Fd> CopyCredentials(const std::string& directory, const plan::Plan& plan) {
  const Owner owner{.uid = TRY(OnHost(plan.process->user.uid, plan.uid_mappings, plan, "process.user.uid: ")),
                    .gid = TRY(OnHost(plan.process->user.gid, plan.gid_mappings, plan, "process.user.gid: "))};
  const Fd from = TRY(sys::Open(directory, O_RDONLY | O_DIRECTORY));
  const Fd fs = TRY(sys::FsOpen("ramfs"));
  TRY(sys::FsConfigString(fs.get(), "source", "nucleus-credentials"));
  TRY(sys::FsConfigCreate(fs.get()));
  Fd mount = TRY(sys::FsMount(fs.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  FAULT_POINT("create.credentials");
  TRY_IN(directory, CopyAll(from, mount.get(), owner));
  const Fd root = TRY(sys::OpenAt2(mount.get(), ".", O_RDONLY | O_DIRECTORY, 0));
  if (::fchown(root.get(), owner.uid, owner.gid) != 0 || ::fchmod(root.get(), kDirectoryMode) != 0) {
    return std::unexpected(SysError("chown", "the credentials' directory"));
  }
  TRY(sys::SetMountAttributes(mount.get(), 0, 0, MS_PRIVATE, false, directory));
  return mount;
}

}  // namespace nucleus::container
