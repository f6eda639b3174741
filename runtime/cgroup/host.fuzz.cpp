// mountinfo, /proc/self/cgroup and cgroupsPath, parted by "---\n": no container's cgroup lies outside of the mounts.

#include <cstdlib>

#include "runtime/cgroup/cgroup.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  constexpr std::string_view kMark = "---\n";
  std::string_view text{reinterpret_cast<const char*>(data), size};
  std::string_view parts[3];
  for (std::string_view& part : parts) {
    part = text.substr(0, text.find(kMark));
    text.remove_prefix(std::min(text.size(), part.size() + kMark.size()));
  }
  const auto host = nucleus::cgroup::ParseHost(parts[0], parts[1]);
  if (!host) {
    return 0;
  }
  const auto cgroups = nucleus::cgroup::Locate(*host, std::string{parts[2]}, "id");
  if (!cgroups) {
    return 0;
  }
  if (cgroups->size() != host->hierarchies.size()) {
    std::abort();
  }
  for (std::size_t i = 0; i < cgroups->size(); ++i) {
    const std::string& mount = host->hierarchies[i].mount_point;
    const std::string& path = (*cgroups)[i].path;
    if (!path.starts_with(mount + "/") || (path.substr(mount.size()) + "/").find("/../") != std::string::npos) {
      std::abort();
    }
  }
  return 0;
}
