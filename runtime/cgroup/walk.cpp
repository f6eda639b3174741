#include "runtime/cgroup/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

constexpr std::uint64_t kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

bool Gone(const Error& error) {
  return error.code == ENOENT || error.code == ENODEV;
}

Result<std::vector<std::string>> Children(int directory) {
  Fd own = TRY(sys::OpenAt2(directory, ".", kDirectory, 0));
  const std::unique_ptr<DIR, int (*)(DIR*)> list{::fdopendir(own.get()), ::closedir};
  if (!list) {
    return std::unexpected(SysError("read", "a cgroup's directory"));
  }
  own.Release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(list.get())) {
    const std::string_view name{entry->d_name};
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  return names;
}

// One directory on the way: what of it is still to be visited, and its own name.
struct Level {
  std::string name;
  std::vector<std::string> children;
};

}  // namespace

Result<> Walk(const std::string& top, const std::function<Result<>(int directory)>& enter,
              const std::function<void(int parent, const std::string& name)>& leave) {
  Result<Fd> opened = sys::Open(top, static_cast<int>(kDirectory));
  if (!opened) {
    return Gone(opened.error()) ? Result<>{} : std::unexpected(opened.error());
  }
  Fd current = std::move(*opened);
  TRY(enter(current.get()));
  std::vector<Level> levels;
  levels.push_back({.name = "", .children = Children(current.get()).value_or(std::vector<std::string>{})});
  while (true) {
    Level& level = levels.back();
    if (level.children.empty()) {
      if (levels.size() == 1) {
        return {};
      }
      current = TRY(sys::OpenAt2(current.get(), "..", kDirectory, 0));
      leave(current.get(), level.name);
      levels.pop_back();
      continue;
    }
    const std::string name = std::move(level.children.back());
    level.children.pop_back();
    Result<Fd> child = sys::OpenAt2(current.get(), name, kDirectory, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
    if (!child) {
      if (Gone(child.error())) {
        continue;
      }
      return std::unexpected(child.error());
    }
    current = std::move(*child);
    TRY(enter(current.get()));
    levels.push_back({.name = name, .children = Children(current.get()).value_or(std::vector<std::string>{})});
  }
}

}  // namespace nucleus::cgroup
