#include "runtime/confine/cpu_affinity.h"

#include <sched.h>

#include <memory>
#include <vector>

#include "runtime/sys/number_list.h"

namespace nucleus::confine {

Result<> SetCpuAffinity(pid_t pid, const std::string& list) {
  if (list.empty()) {
    return {};
  }
  const std::vector<unsigned> cpus = TRY(sys::ParseNumberList(list));
  const int count = static_cast<int>(cpus.back()) + 1;
  const std::size_t size = CPU_ALLOC_SIZE(count);
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set{CPU_ALLOC(count),
                                                             [](cpu_set_t* memory) { CPU_FREE(memory); }};
  CPU_ZERO_S(size, set.get());
  for (const unsigned cpu : cpus) {
    CPU_SET_S(cpu, size, set.get());
  }
  if (::sched_setaffinity(pid, size, set.get()) != 0) {
    return std::unexpected(SysError("sched_setaffinity", list));
  }
  return {};
}

}  // namespace nucleus::confine
