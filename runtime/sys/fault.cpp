#include "runtime/sys/fault.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace nucleus::sys {

#ifdef NUCLEUS_FAULTS

Result<> InjectedFault(std::string_view stage) {
  assert(std::find(kFaultStages.begin(), kFaultStages.end(), stage) != kFaultStages.end());
  constexpr std::string_view kKill = "kill:";
  constexpr std::string_view kStop = "stop:";
  static const char* const kVariable = std::getenv("NUCLEUS_FAULT");
  std::string_view wanted = kVariable != nullptr ? kVariable : "";
  const bool kill = wanted.starts_with(kKill);
  if (kill) {
    wanted.remove_prefix(kKill.size());
  }
  const bool stop = wanted.starts_with(kStop);
  if (stop) {
    wanted.remove_prefix(kStop.size());
  }
  if (stage == wanted && stop) {
    ::raise(SIGSTOP);
    return {};
  }
  if (stage == wanted && kill) {
    ::raise(SIGKILL);
    ::_exit(128 + SIGKILL);  // the first process of a pid namespace does not hear it from inside
  }
  if (stage == wanted) {
    return std::unexpected(SysError("injected fault at", stage, EIO));
  }
  return {};
}

void ListFaultsIfAsked() {
  const char* wanted = std::getenv("NUCLEUS_FAULT");
  if (wanted == nullptr || std::string_view{wanted} != "list") {
    return;
  }
  for (const std::string_view stage : kFaultStages) {
    std::printf("%.*s\n", static_cast<int>(stage.size()), stage.data());
  }
  std::exit(0);
}

#else

Result<> InjectedFault(std::string_view) {
  return {};
}

void ListFaultsIfAsked() {
}

#endif

}  // namespace nucleus::sys
