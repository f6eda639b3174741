#include "base/decimal.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/stats_read.h"

namespace nucleus::cgroup {
namespace {

constexpr std::uint64_t kMicrosecond = 1000;

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
PressureLine ParsePressure(const std::vector<std::string_view>& words) {
  PressureLine line;
  for (const std::string_view word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    const std::string_view key = word.substr(0, equals);
    const std::string_view text = word.substr(equals + 1);
    const double value = ParseDecimal(text).value_or(Decimal{}).value;
    if (key == "avg10") {
      line.avg10 = value;
    } else if (key == "avg60") {
      line.avg60 = value;
    } else if (key == "avg300") {
      line.avg300 = value;
    } else if (key == "total") {
      line.total = Number(text);
    }
  }
  return line;
}

std::optional<Pressure> ReadPressure(const std::string& directory, const std::string& file) {
  const std::string text = TextOrNothing(directory, file);
  if (text.empty()) {
    return std::nullopt;
  }
  Pressure pressure;
  for (const std::string_view line : Lines(text)) {
    const auto words = Words(line);
    (words[0] == "full" ? pressure.full : pressure.some) = ParsePressure(words);
  }
  return pressure;
}

CpuStats ReadCpu(const std::string& directory) {
  CpuStats cpu;
  auto table = Table(directory, "cpu.stat");
  cpu.total = table["usage_usec"] * kMicrosecond;
  cpu.user = table["user_usec"] * kMicrosecond;
  cpu.kernel = table["system_usec"] * kMicrosecond;
  cpu.periods = table["nr_periods"];
  cpu.throttled_periods = table["nr_throttled"];
  cpu.throttled_time = table["throttled_usec"] * kMicrosecond;
  cpu.pressure = ReadPressure(directory, "cpu.pressure");
  return cpu;
}

MemoryStats ReadMemory(const std::string& directory) {
  MemoryStats memory;
  memory.raw = Table(directory, "memory.stat");
  memory.cache = memory.raw["file"];
  auto events = Table(directory, "memory.events");
  memory.usage = {.limit = NumberIn(directory, "memory.max"),
                  .usage = NumberIn(directory, "memory.current"),
                  .max = NumberIn(directory, "memory.peak"),
                  .failures = events["max"]};
  // v2 counts swap alone; `events` reports both together.
  const std::uint64_t swap_limit = NumberIn(directory, "memory.swap.max");
  const bool unlimited = swap_limit == UINT64_MAX || memory.usage.limit == UINT64_MAX;
  memory.swap = {.limit = unlimited ? UINT64_MAX : memory.usage.limit + swap_limit,
                 .usage = memory.usage.usage + NumberIn(directory, "memory.swap.current"),
                 .max = 0,
                 .failures = Table(directory, "memory.swap.events")["max"]};
  memory.pressure = ReadPressure(directory, "memory.pressure");
  return memory;
}

IoStats ReadIo(const std::string& directory) {
  IoStats io;
  const std::string text = TextOrNothing(directory, "io.stat");
  for (const std::string_view line : Lines(text)) {
    const auto words = Words(line);
    const std::size_t colon = words.empty() ? std::string_view::npos : words[0].find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::size_t equals = std::min(words[i].find('='), words[i].size());
      const std::string_view key = words[i].substr(0, equals);
      const bool bytes = key.ends_with("bytes");
      const char* op = key.starts_with("r") ? "Read" : key.starts_with("w") ? "Write" : "Discard";
      if (bytes || key.ends_with("ios")) {
        io.lists[bytes ? "ioServiceBytesRecursive" : "ioServicedRecursive"].push_back(
            {.major = Number(words[0].substr(0, colon)),
             .minor = Number(words[0].substr(colon + 1)),
             .op = op,
             .value = Number(words[i].substr(std::min(equals + 1, words[i].size())))});
      }
    }
  }
  io.pressure = ReadPressure(directory, "io.pressure");
  return io;
}

}  // namespace

Result<Stats> ReadStatsV2(const std::string& directory) {
  Stats stats;
  stats.cpu = ReadCpu(directory);
  if (Exists(directory, "memory.current")) {
    stats.memory = ReadMemory(directory);
  }
  if (Exists(directory, "cpuset.cpus")) {
    stats.cpuset =
        CpusetStats{.cpus = ListIn(directory, "cpuset.cpus"), .mems = ListIn(directory, "cpuset.mems"), .flags = {}};
  }
  if (Exists(directory, "pids.current")) {
    const std::uint64_t limit = NumberIn(directory, "pids.max");
    stats.pids = PidsStats{.current = NumberIn(directory, "pids.current"), .limit = limit == UINT64_MAX ? 0 : limit};
  }
  if (Exists(directory, "io.stat")) {
    stats.io = ReadIo(directory);
  }
  for (const std::string& size : HugepageSizes(directory, ".current")) {
    const std::string prefix = "hugetlb." + size;
    stats.hugetlb[size] = {.usage = NumberIn(directory, prefix + ".current"),
                           .max = 0,
                           .failures = Table(directory, prefix + ".events")["max"]};
  }
  return stats;
}

}  // namespace nucleus::cgroup
