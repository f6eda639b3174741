#include "runtime/confine/cpu_affinity.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace nucleus::confine {

Result<std::vector<unsigned>> ParseCpuList(const std::string& list) {
  // Far above NR_CPUS of any kernel; bounds the set that is allocated.
  constexpr unsigned kMostCpus = 65536;
  std::vector<unsigned> cpus;
  const char* at = list.data();
  const char* const end = list.data() + list.size();
  while (at < end) {
    unsigned first = 0;
    at = std::from_chars(at, end, first).ptr;
    unsigned last = first;
    if (at < end && *at == '-') {
      at = std::from_chars(at + 1, end, last).ptr;
    }
    if (last >= kMostCpus || first > last || (at < end && *at != ',')) {
      return std::unexpected(Failure("CPU list \"" + list + "\" is out of range", EINVAL));
    }
    for (unsigned cpu = first; cpu <= last; ++cpu) {
      cpus.push_back(cpu);
    }
    ++at;
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

Result<> SetCpuAffinity(pid_t pid, const std::string& list) {
  if (list.empty()) {
    return {};
  }
  const std::vector<unsigned> cpus = TRY(ParseCpuList(list));
  const int count = static_cast<int>(cpus.back()) + 1;
  const std::size_t size = CPU_ALLOC_SIZE(count);
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set{CPU_ALLOC(count), [](cpu_set_t* memory) {
                                                               CPU_FREE(memory);
                                                             }};
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
