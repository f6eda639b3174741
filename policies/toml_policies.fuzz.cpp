// The TOML policies: the first byte chooses which. An error is one line that begins with the name.

#include <cstdlib>

#include "policies/capability_policy.h"
#include "policies/egress_policy.h"
#include "policies/landlock_policy.h"

namespace {

template <class T>
void Check(const nucleus::Result<T>& result) {
  if (!result && (!result.error().message.starts_with("p.toml:") ||
                  result.error().message.find('\n') != std::string::npos || result.error().message.size() > 1024)) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  switch (data[0]) {
    case 'c':
      Check(nucleus::policies::ParseCapabilityPolicy(text, "p.toml"));
      break;
    case 'l':
      Check(nucleus::policies::ParseLandlockPolicy(text, "p.toml"));
      break;
    default:
      Check(nucleus::policies::ParseEgressPolicy(text, "p.toml"));
      break;
  }
  return 0;
}
