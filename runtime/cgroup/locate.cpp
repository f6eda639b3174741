// Where a container's cgroups are to be.

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"

namespace nucleus::cgroup {
namespace {

constexpr std::size_t kMaxSelfCgroup = 65536;

// "a//b/../c" → "/a/c"; never above the top.
std::string Normalize(std::string_view path) {
  std::string clean;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part == "..") {
      const std::size_t last = clean.rfind('/');
      clean.resize(last == std::string::npos ? 0 : last);
    } else if (!part.empty() && part != ".") {
      clean += '/';
      clean += part;
    }
  }
  return clean;
}

// The part of the hierarchy that is mounted begins at mount_root: a path above it cannot be reached.
std::string BelowMount(const Hierarchy& hierarchy, const std::string& path) {
  const std::string root = hierarchy.mount_root == "/" ? "" : hierarchy.mount_root;
  if (!root.empty() && (path == root || path.starts_with(root + "/"))) {
    return path.substr(root.size());
  }
  return path;
}

}  // namespace

Result<std::vector<oci::StateCgroup>> Locate(const Host& host, const std::string& cgroups_path, const std::string& id) {
  const bool absolute = cgroups_path.starts_with('/');
  const std::string wanted = Normalize(cgroups_path.empty() ? id : cgroups_path);
  if (wanted.empty()) {
    return std::unexpected(Failure("linux.cgroupsPath: the root cgroup is not a container's", EINVAL));
  }
  std::vector<oci::StateCgroup> cgroups;
  for (const Hierarchy& hierarchy : host.hierarchies) {
    std::string path = wanted;
    if (!absolute) {
      path = Normalize(hierarchy.own_path) + wanted;
      // v2 has no processes in inner cgroups: below the runtime's own there can be none with controllers, so a sibling.
      if (hierarchy.v2() && host.unified()) {
        const std::string own = Normalize(hierarchy.own_path);
        path = own.substr(0, own.empty() ? 0 : own.rfind('/')) + wanted;
      }
      path = BelowMount(hierarchy, path);
    }
    if (path.empty()) {
      // The top of what is mounted here: its limits are not a container's to set.
      return std::unexpected(Failure("linux.cgroupsPath: the root cgroup is not a container's", EINVAL));
    }
    cgroups.push_back({.hierarchy = hierarchy.name, .path = hierarchy.mount_point + path, .created = false});
  }
  return cgroups;
}

std::vector<oci::StateCgroup> At(const Host& host, const std::string& path) {
  std::vector<oci::StateCgroup> cgroups;
  cgroups.reserve(host.hierarchies.size());
  for (const Hierarchy& hierarchy : host.hierarchies) {
    cgroups.push_back({.hierarchy = hierarchy.name,
                       .path = hierarchy.mount_point + BelowMount(hierarchy, Normalize(path)),
                       .created = true});
  }
  return cgroups;
}

Result<> FollowInit(std::vector<oci::StateCgroup>& cgroups, pid_t init) {
  for (oci::StateCgroup& cgroup : cgroups) {
    if (!cgroup.hierarchy.empty() || Read(cgroup.path, "cgroup.subtree_control").value_or("").empty()) {
      continue;
    }
    const Host host = TRY(ReadHost());
    const std::string of_init = "\n" + TRY(ReadFile("/proc/" + std::to_string(init) + "/cgroup", kMaxSelfCgroup));
    for (const Hierarchy& hierarchy : host.hierarchies) {
      const std::size_t line = hierarchy.v2() ? of_init.find("\n0::/") : std::string::npos;
      if (line == std::string::npos) {
        continue;
      }
      const std::size_t begin = line + std::string_view{"\n0::"}.size();
      const std::string path = of_init.substr(begin, of_init.find('\n', begin) - begin);
      const std::string directory = hierarchy.mount_point + BelowMount(hierarchy, path);
      // Wherever else it may have been moved to is not the container's.
      if (directory.starts_with(cgroup.path + "/")) {
        cgroup.path = directory;
      }
    }
  }
  return {};
}

}  // namespace nucleus::cgroup
