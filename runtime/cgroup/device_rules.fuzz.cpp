// linux.resources as JSON → v1's terms and an eBPF program.

#include "runtime/cgroup/device_rules.h"

#include <cstdlib>

#include "oci-config/parse.h"
#include "runtime/cgroup/device_program.h"
#include "runtime/cgroup/resources.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto parsed = nucleus::oci::ParseResources({reinterpret_cast<const char*>(data), size}, "r");
  if (!parsed) {
    return 0;
  }
  const auto resources = nucleus::cgroup::WithoutZeros(*parsed);
  if (resources.memory) {
    (void)nucleus::cgroup::SwapAlone(*resources.memory);
  }
  const auto rules = nucleus::cgroup::WithDefaultDevices(resources.devices);
  const auto program = nucleus::cgroup::CompileDeviceProgram(rules);
  if (program.back().code != (BPF_JMP | BPF_EXIT)) {
    std::abort();
  }
  const auto list = nucleus::cgroup::ForV1(rules);
  if (list) {
    for (const auto& rule : list->exceptions) {
      if (rule.allow == list->allow_others || rule.type == 'a' || rule.access.empty()) {
        std::abort();
      }
    }
  }
  return 0;
}
