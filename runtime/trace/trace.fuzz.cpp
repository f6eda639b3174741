// A trace: whatever is accepted makes policies that are accepted as such.

#include <seccomp.h>

#include <cstdlib>

#include "policies/egress_policy.h"
#include "policies/landlock_policy.h"
#include "policies/seccomp_policy.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/trace/generate.h"
#include "runtime/trace/propose.h"
#include "runtime/trace/read.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace nucleus;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  trace::Trace trace;
  if (const auto read = trace::ReadTrace(text, "t", trace); !read) {
    if (read.error().message.find('\n') != std::string::npos) {
      std::abort();
    }
    return 0;
  }
  const auto is_syscall = [](std::string_view name) { return confine::SyscallNumber(name) != __NR_SCMP_ERROR; };
  if (!policies::ParseSeccompPolicy(trace::GenerateProfile(trace), "p", is_syscall)) {
    std::abort();
  }
  // A path's length decides what it is: any mixture will do.
  const auto kind_of = [](const std::string& path) { return static_cast<trace::Kind>(path.size() % 3); };
  if (!policies::ParseLandlockPolicy(trace::ProposeLandlock(trace, kind_of), "p") ||
      !policies::ParseEgressPolicy(trace::ProposeEgress(trace), "p")) {
    std::abort();
  }
  return 0;
}
