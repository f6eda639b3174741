#include "runtime/egress/uplink/program.h"

#include <fcntl.h>

#include <array>
#include <charconv>
#include <utility>

#include "runtime/sys/syscalls.h"

namespace nucleus::uplink {
namespace {

constexpr auto kDirectories =
    std::to_array<const char*>({"/usr/bin", "/usr/sbin", "/usr/local/bin", "/run/current-system/sw/bin"});
constexpr auto kNames = std::to_array<std::pair<const char*, Program::Kind>>(
    {{"pasta", Program::Kind::kPasta}, {"slirp4netns", Program::Kind::kSlirp}});

// The number that stands for users without one in this user namespace; 0 in the first, where all have theirs.
Result<uid_t> Overflow() {
  constexpr std::size_t kMax = 65536;
  const std::string map = TRY(ReadFile("/proc/self/uid_map", kMax));
  if (map.find("4294967295") != std::string::npos) {
    return 0;
  }
  const std::string text = TRY(ReadFile("/proc/sys/kernel/overflowuid", kMax));
  uid_t overflow = 0;
  std::from_chars(text.data(), text.data() + text.size(), overflow);
  return overflow;
}

Result<> CheckRootsAlone(int fd, const std::string& path) {
  const struct stat status = TRY(sys::Fstat(fd, path));
  // Root of the host, seen from a user namespace that does not map it. Nobody there can be or act as that user.
  const uid_t overflow = TRY(Overflow());
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  if ((status.st_uid != 0 && status.st_uid != overflow) || (status.st_mode & kOthersWrite) != 0) {
    return std::unexpected(Failure(path + " is not root's alone to change", EPERM));
  }
  return {};
}

}  // namespace

Result<Program> FindProgram() {
  for (const auto& [name, kind] : kNames) {
    for (const char* directory : kDirectories) {
      const std::string path = std::string{directory} + "/" + name;
      Result<Fd> file = sys::Open(path, O_PATH);
      if (!file) {
        if (file.error().code == ENOENT || file.error().code == ENOTDIR) {
          continue;
        }
        return std::unexpected(std::move(file).error());
      }
      TRY(CheckRootsAlone(file->get(), path));
      const Fd folder = TRY(sys::Open(directory, O_PATH));
      TRY(CheckRootsAlone(folder.get(), directory));
      return Program{.kind = kind, .path = path, .file = *std::move(file)};
    }
  }
  return std::unexpected(
      Failure("network mode userspace takes pasta or slirp4netns, and neither is installed: install "
              "the package passt",
              ENOENT));
}

}  // namespace nucleus::uplink
