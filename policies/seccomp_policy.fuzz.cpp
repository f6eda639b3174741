// The seccomp policy: an error is one line that begins with the name.

#include "policies/seccomp_policy.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto policy = nucleus::policies::ParseSeccompPolicy({reinterpret_cast<const char*>(data), size}, "p.json",
                                                            [](std::string_view name) { return name.size() < 20; });
  if (!policy &&
      (!policy.error().message.starts_with("p.json") || policy.error().message.find('\n') != std::string::npos)) {
    std::abort();
  }
  return 0;
}
