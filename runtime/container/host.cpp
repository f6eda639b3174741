#include "runtime/container/host.h"

#include <unistd.h>

#include "base/fd.h"

namespace nucleus::container {

Result<plan::Host> ReadHost(bool with_cgroups) {
  plan::Host host;
  host.euid = ::geteuid();
  host.capability_bounding = confine::BoundingSet();
  // The initial user namespace is the one that maps every id to itself.
  const std::string map = TRY(ReadFile("/proc/self/uid_map", 65536));
  std::size_t at = 0;
  std::string words;
  while ((at = map.find_first_not_of(" \n", at)) != std::string::npos) {
    const std::size_t end = std::min(map.find_first_of(" \n", at), map.size());
    words += map.substr(at, end - at) + " ";
    at = end;
  }
  host.in_initial_user_namespace = words == "0 0 4294967295 ";
  if (with_cgroups) {
    host.cgroups = TRY(cgroup::ReadHost());
  }
  return host;
}

}  // namespace nucleus::container
