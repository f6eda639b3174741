#include "runtime/sys/fault.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>

namespace nucleus::sys {

#ifdef NUCLEUS_FAULTS

Result<> InjectedFault(std::string_view stage) {
  assert(std::find(kFaultStages.begin(), kFaultStages.end(), stage) != kFaultStages.end());
  static const char* const kWanted = std::getenv("NUCLEUS_FAULT");
  if (kWanted != nullptr && stage == kWanted) {
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
