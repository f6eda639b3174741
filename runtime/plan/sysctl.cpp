#include "runtime/plan/sysctl.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <string>

namespace nucleus::plan {

std::string SysctlPath(std::string_view key) {
  std::string path{key};
  const std::size_t first = path.find_first_of("./");
  if (first != std::string::npos && path[first] == '.') {
    for (char& c : path) {
      c = c == '.' ? '/' : c == '/' ? '.' : c;
    }
  }
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    if (component.empty() || component == "." || component == "..") {
      return {};
    }
    if (slash == std::string_view::npos) {
      return path;
    }
    rest.remove_prefix(slash + 1);
  }
}

int SysctlNamespace(std::string_view key) {
  static constexpr auto kIpc = std::to_array<std::string_view>(
      {"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/msg_next_id", "kernel/sem", "kernel/sem_next_id",
       "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_next_id", "kernel/shm_rmid_forced"});
  const std::string path = SysctlPath(key);
  if (std::find(kIpc.begin(), kIpc.end(), path) != kIpc.end() || path.starts_with("fs/mqueue/")) {
    return CLONE_NEWIPC;
  }
  if (path.starts_with("net/")) {
    return CLONE_NEWNET;
  }
  if (path == "kernel/domainname" || path == "kernel/hostname") {
    return CLONE_NEWUTS;
  }
  return 0;
}

}  // namespace nucleus::plan
