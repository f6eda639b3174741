// linux.seccomp of a config.json → a filter that the kernel's checker would take.

#include <linux/bpf_common.h>

#include <cstdlib>

#include "oci-config/parse.h"
#include "runtime/confine/confine.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto spec = nucleus::oci::ParseSpec({reinterpret_cast<const char*>(data), size}, "config.json");
  if (!spec || !spec->linux_.seccomp) {
    return 0;
  }
  const auto program = nucleus::confine::CompileSeccomp(*spec->linux_.seccomp);
  if (!program) {
    return 0;
  }
  const auto& filter = program->filter;
  if (filter.empty() || filter.size() > BPF_MAXINSNS || filter.back().code != (BPF_RET | BPF_K)) {
    std::abort();
  }
  for (std::size_t at = 0; at < filter.size(); ++at) {
    const std::size_t left = filter.size() - at - 1;
    if (BPF_CLASS(filter[at].code) == BPF_JMP) {
      const bool always = BPF_OP(filter[at].code) == BPF_JA;
      if (always ? filter[at].k >= left : filter[at].jt >= left || filter[at].jf >= left) {
        std::abort();
      }
    }
  }
  return 0;
}
