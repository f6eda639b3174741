#include "policies/pinned_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sha256.h"

namespace nucleus::policies {
namespace {

std::string Reason(int error) {
  switch (error) {
    case ELOOP:
      return "a symbolic link";
    case EXDEV:
      return "leads out of the bundle";
    default:
      return ErrnoText(error);
  }
}

Result<Fd> Open(PinBase& bundle, const std::string& path) {
  int directory = AT_FDCWD;
  open_how how{};
  // O_PATH first: opening a FIFO or a device has effects, looking at it has none.
  how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  if (!path.starts_with('/')) {
    directory = TRY(bundle.Open());
    how.resolve |= RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  }
  const long fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
  if (fd < 0) {
    return std::unexpected(Failure(path + ": " + Reason(errno), errno));
  }
  return Fd{static_cast<int>(fd)};
}

Result<> CheckKind(const struct stat& status, const std::string& path, std::size_t limit) {
  if (S_ISLNK(status.st_mode)) {
    return std::unexpected(Failure(path + ": a symbolic link", ELOOP));
  }
  if (!S_ISREG(status.st_mode)) {
    return std::unexpected(Failure(path + ": not a regular file", EINVAL));
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return std::unexpected(Failure(path + ": everybody may write to it", EPERM));
  }
  if (static_cast<std::size_t>(status.st_size) > limit) {
    return std::unexpected(Failure(path + ": larger than " + std::to_string(limit) + " bytes", EFBIG));
  }
  return {};
}

bool Same(const struct stat& before, const struct stat& after) {
  return before.st_size == after.st_size && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
         before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_ctim.tv_sec == after.st_ctim.tv_sec &&
         before.st_ctim.tv_nsec == after.st_ctim.tv_nsec && before.st_mode == after.st_mode;
}

}  // namespace

Result<int> PinBase::Open() {
  if (!directory_) {
    directory_ = Fd{::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!directory_) {
      return std::unexpected(SysError("open", path_));
    }
  }
  return directory_.get();
}

Fd PinBase::OpenAgain(int place) {
  if (!descriptors_) {
    descriptors_ = Fd{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  }
  return Fd{descriptors_ ? ::openat(descriptors_.get(), std::to_string(place).c_str(), O_RDONLY | O_CLOEXEC) : -1};
}

Result<PinnedFile> ReadPinned(const std::string& bundle, const oci::Pin& pin, std::size_t limit) {
  PinBase base{bundle};
  return ReadPinned(base, pin, limit);
}

Result<PinnedFile> ReadPinned(PinBase& bundle, const oci::Pin& pin, std::size_t limit) {
  const Fd place = TRY(Open(bundle, pin.path));
  struct stat before{};
  if (::fstat(place.get(), &before) != 0) {
    return std::unexpected(SysError("stat", pin.path));
  }
  TRY(CheckKind(before, pin.path, limit));
  // The very file that was looked at, whatever its path names by now.
  const Fd file = bundle.OpenAgain(place.get());
  if (!file) {
    return std::unexpected(Failure(pin.path + ": " + ErrnoText(errno), errno));
  }
  PinnedFile result;
  result.path = pin.path;
  result.bytes = TRY(ReadAll(file.get(), before, limit, pin.path));
  struct stat after{};
  if (::fstat(file.get(), &after) != 0) {
    return std::unexpected(SysError("stat", pin.path));
  }
  if (!Same(before, after) || result.bytes.size() != static_cast<std::size_t>(after.st_size)) {
    return std::unexpected(Failure(pin.path + ": changed while it was read", EAGAIN));
  }
  result.digest = Sha256Hex(result.bytes);
  if (!pin.digest.empty() && result.digest != pin.digest) {
    return std::unexpected(
        Failure(pin.path + ": is sha256:" + result.digest + ", pinned is sha256:" + pin.digest, EBADMSG));
  }
  return result;
}

}  // namespace nucleus::policies
