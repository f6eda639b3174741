#include "front/sandbox/memory_directory.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace nucleus::front {
namespace {

bool InMemory(const std::string& path) {
  struct statfs status{};
  return ::statfs(path.c_str(), &status) == 0 && status.f_type == TMPFS_MAGIC;
}

bool IsNoexec(const std::string& path) {
  struct statvfs status{};
  return ::statvfs(path.c_str(), &status) == 0 && (status.f_flag & ST_NOEXEC) != 0;
}

}  // namespace

Result<std::string> MemoryDirectory() {
  std::vector<std::string> parents;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (::geteuid() == 0) {
    parents.emplace_back("/run");
  } else if (runtime != nullptr && runtime[0] == '/') {
    parents.emplace_back(runtime);
  }
  parents.emplace_back("/dev/shm");
  auto parent = std::ranges::find_if(parents, [](const auto& path) { return InMemory(path) && !IsNoexec(path); });
  if (parent == parents.end()) {
    parent = std::ranges::find_if(parents, InMemory);
  }
  if (parent == parents.end()) {
    return std::unexpected(Failure("sandbox: neither " + parents.front() + " nor /dev/shm is a tmpfs", ENOTSUP));
  }
  std::string path = *parent + "/nucleus-sandbox-" + std::to_string(::geteuid());
  constexpr mode_t kMode = 0711;
  if (::mkdir(path.c_str(), kMode) != 0 && errno != EEXIST) {
    return std::unexpected(SysError("mkdir", path));
  }
  // In /dev/shm it may be somebody else's, or a link.
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    return std::unexpected(SysError("stat", path));
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return std::unexpected(Failure("sandbox: " + path + " is not this user's alone", EPERM));
  }
  if ((status.st_mode & 07777) != kMode && ::chmod(path.c_str(), kMode) != 0) {
    return std::unexpected(SysError("chmod", path));
  }
  return path;
}

Result<> RunsPrograms(const std::string& path, const std::string& what) {
  if (IsNoexec(path)) {
    return std::unexpected(
        Failure(what + ": " + path + ": no program of a copy could run there: mounted noexec", EACCES));
  }
  return {};
}

}  // namespace nucleus::front
