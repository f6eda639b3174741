#include "runtime/plan/sysctl.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <string>

namespace nucleus::plan {

int SysctlNamespace(std::string_view key) {
  static constexpr auto kIpc = std::to_array<std::string_view>(
      {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg_next_id", "kernel.sem", "kernel.sem_next_id",
       "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_next_id", "kernel.shm_rmid_forced"});
  std::string dotted{key};
  // The first separator tells the spelling: with '/' as separator a '.' is part of a name (an interface "eth0.1").
  const std::size_t first = dotted.find_first_of("./");
  if (first != std::string::npos && dotted[first] == '/') {
    std::replace(dotted.begin(), dotted.end(), '/', '.');
  }
  if (dotted.find("..") != std::string::npos) {
    return 0;
  }
  if (std::find(kIpc.begin(), kIpc.end(), dotted) != kIpc.end() || dotted.starts_with("fs.mqueue.")) {
    return CLONE_NEWIPC;
  }
  if (dotted.starts_with("net.")) {
    return CLONE_NEWNET;
  }
  if (dotted == "kernel.domainname" || dotted == "kernel.hostname") {
    return CLONE_NEWUTS;
  }
  return 0;
}

}  // namespace nucleus::plan
