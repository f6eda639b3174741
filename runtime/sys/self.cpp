#include "runtime/sys/self.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::sys {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// Not MFD_EXEC: where vm.memfd_noexec asks for it, an old kernel would refuse the flag.
Result<Fd> SealedCopy(int exe) {
  Fd copy{::memfd_create("nucleus", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!copy) {
    return std::unexpected(SysError("memfd_create", "nucleus"));
  }
  const struct stat status = TRY(Fstat(exe, "/proc/self/exe"));
  for (off_t left = status.st_size; left > 0;) {
    const ssize_t count = ::sendfile(copy.get(), exe, nullptr, static_cast<std::size_t>(left));
    if (count <= 0) {
      return std::unexpected(SysError("sendfile", "/proc/self/exe", count == 0 ? EIO : errno));
    }
    left -= count;
  }
  if (::fchmod(copy.get(), 0500) != 0 || ::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) {
    return std::unexpected(SysError("seal", "/proc/self/exe"));
  }
  return copy;
}

Result<Fd> ReadOnlyMount() {
  Fd mount = TRY(CloneTree(AT_FDCWD, "/proc/self/exe", false, "/proc/self/exe"));
  TRY(SetMountAttributes(mount.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0, 0, false, "/proc/self/exe"));
  return mount;
}

Result<bool> IsProtected(int exe) {
  const int seals = ::fcntl(exe, F_GET_SEALS);
  if (seals >= 0 && (seals & kSeals) == kSeals) {
    return true;
  }
  struct statvfs status{};
  if (::fstatvfs(exe, &status) != 0) {
    return std::unexpected(SysError("statfs", "/proc/self/exe"));
  }
  return (status.f_flag & ST_RDONLY) != 0;
}

}  // namespace

Result<> ProtectSelf(char** argv) {
  // Before anything else: until execve replaces the image, nothing inside may trace us.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_DUMPABLE"));
  }
  const Fd exe{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  if (!exe) {
    // A non-dumpable process of an ordinary user may not follow its own link; dumpable again, then, for the look.
    ::prctl(PR_SET_DUMPABLE, 1);
  }
  const Fd again{exe ? -1 : ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  const int image = exe ? exe.get() : again.get();
  if (image < 0) {
    return std::unexpected(SysError("open", "/proc/self/exe"));
  }
  if (TRY(IsProtected(image))) {
    ::prctl(PR_SET_DUMPABLE, 0);
    return {};
  }
  Result<Fd> safe = ReadOnlyMount();
  if (!safe) {
    safe = TRY_IN("cannot protect the runtime's binary", SealedCopy(image));
  }
  // O_CLOEXEC closes the descriptor in execveat: the mount is dissolved before the new image runs its first
  // instruction, and a dissolved mount belongs to no namespace in which its flags could be changed.
  ::execveat(safe->get(), "", argv, environ, AT_EMPTY_PATH);
  return std::unexpected(SysError("exec", "the runtime's protected image"));
}

}  // namespace nucleus::sys
