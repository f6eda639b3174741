// Limits as they are: for a caller that has somebody else write the cgroup's files in between.

#include <array>
#include <charconv>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"

namespace nucleus::cgroup {
namespace {

// What systemd writes for a unit that it has properties of, in whatever order it can be put back.
constexpr std::array<std::string_view, 19> kFiles = {
    "memory.max",  "memory.high",  "memory.low",        "memory.min",      "memory.swap.max",
    "cpu.idle",    "cpu.weight",   "cpu.max",           "cpu.max.burst",   "cpuset.cpus",
    "cpuset.mems", "pids.max",     "io.weight",         "io.bfq.weight",   "memory.limit_in_bytes",
    "cpu.shares",  "blkio.weight", "cpu.cfs_period_us", "cpu.cfs_quota_us"};

std::optional<std::int64_t> NumberIn(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end != text.data() ? std::optional{value} : std::nullopt;
}

// quota (negative: none) and period.
struct CpuTime {
  std::optional<std::int64_t> quota;
  std::optional<std::int64_t> period;
};

CpuTime CurrentCpuTime(const Host& host, const std::vector<oci::StateCgroup>& cgroups) {
  if (host.unified()) {
    const std::string* directory = DirectoryOf(cgroups, "");
    const std::string text = directory == nullptr ? "" : Read(*directory, "cpu.max").value_or("");
    const std::size_t space = text.find(' ');
    if (space == std::string::npos) {
      return {};
    }
    return {.quota = NumberIn(text).value_or(-1), .period = NumberIn(std::string_view{text}.substr(space + 1))};
  }
  const std::string* directory = DirectoryOf(cgroups, "cpu");
  if (directory == nullptr) {
    return {};
  }
  return {.quota = NumberIn(Read(*directory, "cpu.cfs_quota_us").value_or("")),
          .period = NumberIn(Read(*directory, "cpu.cfs_period_us").value_or(""))};
}

}  // namespace

Result<oci::Resources> WithCurrent(const Host& host, const std::vector<oci::StateCgroup>& cgroups,
                                   oci::Resources resources) {
  if (resources.cpu && (resources.cpu->quota || resources.cpu->period)) {
    const CpuTime now = CurrentCpuTime(host, cgroups);
    if (!resources.cpu->quota) {
      resources.cpu->quota = now.quota;
    }
    if (!resources.cpu->period && now.period) {
      resources.cpu->period = static_cast<std::uint64_t>(*now.period);
    }
  }
  if (host.unified() && resources.memory && resources.memory->swap.value_or(-1) > 0 && !resources.memory->limit) {
    if (const std::string* directory = DirectoryOf(cgroups, "")) {
      resources.memory->limit = NumberIn(Read(*directory, "memory.max").value_or("")).value_or(-1);
    }
  }
  return resources;
}

std::vector<Kept> Keep(const std::vector<oci::StateCgroup>& cgroups) {
  std::vector<Kept> kept;
  for (const oci::StateCgroup& cgroup : cgroups) {
    for (const std::string_view file : kFiles) {
      if (const Result<std::string> value = Read(cgroup.path, std::string{file})) {
        // The first line has what counts for the cgroup, the others single devices.
        kept.push_back(
            {.directory = cgroup.path, .file = std::string{file}, .value = value->substr(0, value->find('\n'))});
      }
    }
  }
  return kept;
}

Result<> PutBack(const std::vector<Kept>& kept) {
  for (const Kept& one : kept) {
    const std::string now = TRY(Read(one.directory, one.file));
    // A cgroup that runs when nothing else does has no weight to be set.
    const bool idle = one.file == "cpu.weight" && one.value == "0";
    if (now.substr(0, now.find('\n')) != one.value && !idle) {
      TRY(Write(one.directory, one.file, one.value.empty() ? "\n" : one.value));
    }
  }
  return {};
}

}  // namespace nucleus::cgroup
