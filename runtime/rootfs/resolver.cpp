#include "runtime/rootfs/resolver.h"

#include <fcntl.h>
#include <unistd.h>

#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

constexpr std::uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

// Links to what does not exist yet are followed by hand; the kernel's own bound on links is 40. The other bound is on
// the stack: a hostile image can have links whose targets are long paths of missing directories.
constexpr int kMaxLinks = 40;
constexpr int kMaxDepth = 512;

std::pair<std::string, std::string> Split(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    return {".", path};
  }
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

bool IsOrdinaryName(const std::string& name) {
  return !name.empty() && name != "." && name != "..";
}

}  // namespace

Result<Fd> Resolver::Open(const std::string& path, int flags) const {
  return sys::OpenAt2(root_, path, static_cast<std::uint64_t>(flags), kInRoot);
}

Result<Fd> Resolver::OpenNoSymlinks(const std::string& path, int flags) const {
  return sys::OpenAt2(root_, path, static_cast<std::uint64_t>(flags), kInRoot | RESOLVE_NO_SYMLINKS);
}

Result<Fd> Resolver::Make(const std::string& path, bool directory, int links, int depth) const {
  Result<Fd> existing = Open(path, directory ? O_PATH | O_DIRECTORY : O_PATH);
  if (existing || existing.error().code != ENOENT) {
    return existing;
  }
  if (links > kMaxLinks || depth > kMaxDepth) {
    return std::unexpected(SysError("create", path, links > kMaxLinks ? ELOOP : ENAMETOOLONG));
  }
  auto [parent_path, name] = Split(path);
  if (!IsOrdinaryName(name)) {
    return existing;
  }
  const Fd parent = TRY(Make(parent_path, true, links, depth + 1));
  bool made = false;
  if (directory) {
    made = ::mkdirat(parent.get(), name.c_str(), 0755) == 0;
  } else {
    const Fd file{
        ::openat(parent.get(), name.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0644)};
    made = file.valid();
  }
  if (!made && errno != EEXIST) {
    return std::unexpected(SysError(directory ? "mkdir" : "create", path));
  }
  // What is opened is the entry itself, below the very directory in which it was made: an entry that was exchanged
  // meanwhile can be another of this directory, never a way out.
  Fd entry = TRY(sys::OpenAt2(parent.get(), name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS));
  const struct stat status = TRY(sys::Fstat(entry.get(), path));
  if (!S_ISLNK(status.st_mode)) {
    if (directory && !S_ISDIR(status.st_mode)) {
      return std::unexpected(SysError("mkdir", path, ENOTDIR));
    }
    return entry;
  }
  // A symbolic link to what is missing: its target is made, inside the root.
  const std::string target = TRY(sys::ReadLinkAt(parent.get(), name));
  return Make(target.starts_with('/') ? target : parent_path + "/" + target, directory, links + 1, depth + 1);
}

Result<Fd> Resolver::MakeDirectory(const std::string& path) const {
  return Make(path, true, 0, 0);
}

Result<Fd> Resolver::MakeFile(const std::string& path) const {
  return Make(path, false, 0, 0);
}

Result<Resolver::Entry> Resolver::MakeParent(const std::string& path) const {
  auto [parent_path, name] = Split(path);
  if (!IsOrdinaryName(name)) {
    return std::unexpected(SysError("create", path, EINVAL));
  }
  Fd parent = TRY(MakeDirectory(parent_path));
  return Entry{.parent = std::move(parent), .name = std::move(name)};
}

}  // namespace nucleus::rootfs
