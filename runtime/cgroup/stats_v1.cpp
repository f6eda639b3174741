#include <unistd.h>

#include <array>

#include "runtime/cgroup/files.h"
#include "runtime/cgroup/stats_read.h"

namespace nucleus::cgroup {
namespace {

constexpr std::uint64_t kSecond = 1000000000;

CpuStats ReadCpu(const std::vector<oci::StateCgroup>& cgroups, const std::string& accounting) {
  CpuStats cpu;
  cpu.total = NumberIn(accounting, "cpuacct.usage");
  // In ticks of the user's clock.
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  auto split = Table(accounting, "cpuacct.stat");
  cpu.user = split["user"] * (kSecond / ticks);
  cpu.kernel = split["system"] * (kSecond / ticks);
  const std::string all = TextOrNothing(accounting, "cpuacct.usage_all");
  for (const std::string_view line : Lines(all)) {
    const auto words = Words(line);
    if (words.size() == 3 && words[0] != "cpu") {
      cpu.per_cpu_user.push_back(Number(words[1]));
      cpu.per_cpu_kernel.push_back(Number(words[2]));
    }
  }
  const std::string per_cpu = TextOrNothing(accounting, "cpuacct.usage_percpu");
  for (const std::string_view word : Words(per_cpu)) {
    cpu.per_cpu.push_back(Number(word));
  }
  if (const std::string* bandwidth = DirectoryOf(cgroups, "cpu")) {
    auto table = Table(*bandwidth, "cpu.stat");
    cpu.periods = table["nr_periods"];
    cpu.throttled_periods = table["nr_throttled"];
    cpu.throttled_time = table["throttled_time"];
  }
  return cpu;
}

MemoryEntry ReadEntry(const std::string& directory, const std::string& prefix) {
  return {.limit = NumberIn(directory, prefix + ".limit_in_bytes"),
          .usage = NumberIn(directory, prefix + ".usage_in_bytes"),
          .max = NumberIn(directory, prefix + ".max_usage_in_bytes"),
          .failures = NumberIn(directory, prefix + ".failcnt")};
}

MemoryStats ReadMemory(const std::string& directory) {
  MemoryStats memory;
  memory.raw = Table(directory, "memory.stat");
  const auto cache = memory.raw.find("total_cache");
  memory.cache = cache != memory.raw.end() ? cache->second : 0;
  memory.usage = ReadEntry(directory, "memory");
  memory.swap = ReadEntry(directory, "memory.memsw");
  memory.kernel = ReadEntry(directory, "memory.kmem");
  memory.kernel_tcp = ReadEntry(directory, "memory.kmem.tcp");
  return memory;
}

CpusetStats ReadCpuset(const std::string& directory) {
  CpusetStats cpuset{.cpus = ListIn(directory, "cpuset.cpus"), .mems = ListIn(directory, "cpuset.mems"), .flags = {}};
  for (const char* flag :
       {"cpu_exclusive", "mem_exclusive", "mem_hardwall", "memory_migrate", "memory_pressure", "memory_spread_page",
        "memory_spread_slab", "sched_load_balance", "sched_relax_domain_level"}) {
    cpuset.flags[flag] = NumberIn(directory, std::string{"cpuset."} + flag);
  }
  return cpuset;
}

struct IoList {
  const char* name;
  // The first of these that has lines counts: BFQ's, the older CFQ's, the throttling layer's.
  std::array<const char*, 3> files;
};

constexpr auto kIoLists = std::to_array<IoList>({
    {"ioServiceBytesRecursive",
     {"blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive",
      "blkio.throttle.io_service_bytes_recursive"}},
    {"ioServicedRecursive",
     {"blkio.bfq.io_serviced_recursive", "blkio.io_serviced_recursive", "blkio.throttle.io_serviced_recursive"}},
    {"ioQueueRecursive", {"blkio.bfq.io_queued_recursive", "blkio.io_queued_recursive", ""}},
    {"ioServiceTimeRecursive", {"blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive", ""}},
    {"ioWaitTimeRecursive", {"blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive", ""}},
    {"ioMergedRecursive", {"blkio.bfq.io_merged_recursive", "blkio.io_merged_recursive", ""}},
    {"ioTimeRecursive", {"blkio.bfq.time_recursive", "blkio.time_recursive", ""}},
    {"sectorsRecursive", {"blkio.bfq.sectors_recursive", "blkio.sectors_recursive", ""}},
});

// "8:0 Read 4096", "8:0 512"; the closing "Total N" has no device.
std::vector<IoEntry> ReadIoEntries(const std::string& directory, const std::string& file) {
  std::vector<IoEntry> entries;
  const std::string text = TextOrNothing(directory, file);
  for (const std::string_view line : Lines(text)) {
    const auto words = Words(line);
    const std::size_t colon = words.empty() ? std::string_view::npos : words[0].find(':');
    if (words.size() < 2 || colon == std::string_view::npos) {
      continue;
    }
    entries.push_back({.major = Number(words[0].substr(0, colon)),
                       .minor = Number(words[0].substr(colon + 1)),
                       .op = words.size() > 2 ? std::string{words[1]} : "",
                       .value = Number(words.back())});
  }
  return entries;
}

IoStats ReadIo(const std::string& directory) {
  IoStats io;
  for (const IoList& list : kIoLists) {
    for (const char* file : list.files) {
      std::vector<IoEntry> entries = *file != '\0' ? ReadIoEntries(directory, file) : std::vector<IoEntry>{};
      if (!entries.empty()) {
        io.lists[list.name] = std::move(entries);
        break;
      }
    }
  }
  return io;
}

}  // namespace

Result<Stats> ReadStatsV1(const std::vector<oci::StateCgroup>& cgroups) {
  Stats stats;
  if (const std::string* accounting = DirectoryOf(cgroups, "cpuacct")) {
    stats.cpu = ReadCpu(cgroups, *accounting);
  }
  if (const std::string* directory = DirectoryOf(cgroups, "memory")) {
    stats.memory = ReadMemory(*directory);
  }
  if (const std::string* directory = DirectoryOf(cgroups, "cpuset")) {
    stats.cpuset = ReadCpuset(*directory);
  }
  if (const std::string* directory = DirectoryOf(cgroups, "pids")) {
    const std::uint64_t limit = NumberIn(*directory, "pids.max");
    stats.pids = PidsStats{.current = NumberIn(*directory, "pids.current"), .limit = limit == UINT64_MAX ? 0 : limit};
  }
  if (const std::string* directory = DirectoryOf(cgroups, "blkio")) {
    stats.io = ReadIo(*directory);
  }
  if (const std::string* directory = DirectoryOf(cgroups, "hugetlb")) {
    for (const std::string& size : HugepageSizes(*directory, ".usage_in_bytes")) {
      const std::string prefix = "hugetlb." + size;
      stats.hugetlb[size] = {.usage = NumberIn(*directory, prefix + ".usage_in_bytes"),
                             .max = NumberIn(*directory, prefix + ".max_usage_in_bytes"),
                             .failures = NumberIn(*directory, prefix + ".failcnt")};
    }
  }
  return stats;
}

}  // namespace nucleus::cgroup
