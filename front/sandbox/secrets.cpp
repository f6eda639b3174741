#include "front/sandbox/secrets.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/fd.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxSecret = std::size_t{1} << 20;

// Bytes that do not stay in this process's memory.
struct Bytes {
  std::string text;
  Bytes() = default;
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() {
    ::explicit_bzero(text.data(), text.size());
  }
};

SandboxMount MountOf(const std::string& source, const std::string& destination) {
  return {.destination = destination,
          .type = "bind",
          .source = source,
          .options = {"bind", "ro", "nosuid", "nodev", "noexec"},
          .file = true};
}

}  // namespace

Result<std::vector<SandboxMount>> KeepSecrets(const std::vector<Secret>& secrets, const std::string& directory,
                                              const Ids& ids) {
  std::vector<SandboxMount> mounts;
  if (secrets.empty()) {
    return mounts;
  }
  // The container's ids pass through it to their own file.
  constexpr mode_t kPass = 0711;
  if (::mkdir(directory.c_str(), kPass) != 0) {
    return std::unexpected(SysError("mkdir", directory));
  }
  for (const Secret& secret : secrets) {
    Bytes bytes;
    if (secret.fd >= 0) {
      bytes.text = TRY_IN("--secret", ReadAll(secret.fd, kMaxSecret, "fd:" + std::to_string(secret.fd)));
    } else {
      bytes.text = TRY_IN("--secret", ReadFile(secret.source, kMaxSecret));
    }
    const std::string path = directory + "/" + std::to_string(mounts.size());
    constexpr mode_t kOwner = 0400;
    const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOwner)};
    if (!file) {
      return std::unexpected(SysError("open", path));
    }
    if (ids.privileged && ::fchown(file.get(), *ids.HostUid(ids.uid), *ids.HostGid(ids.gid)) != 0) {
      return std::unexpected(SysError("chown", path));
    }
    TRY(WriteAll(file.get(), bytes.text, path));
    mounts.push_back(MountOf(path, secret.destination));
  }
  return mounts;
}

Result<std::vector<SandboxMount>> ReferToSecrets(const std::vector<Secret>& secrets, const Ids& ids) {
  std::vector<SandboxMount> mounts;
  for (const Secret& secret : secrets) {
    if (secret.fd >= 0) {
      return std::unexpected(
          Failure("--secret: a bundle that is kept cannot refer to fd:" + std::to_string(secret.fd), EINVAL));
    }
    mounts.push_back(TRY(BindOf(secret.source, secret.destination, false, false, ids, "--secret")));
  }
  return mounts;
}

}  // namespace nucleus::front
