// `nucleus stats`: what the cgroups and the network namespace of a container have counted.

#include "runtime/cgroup/stats.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <map>
#include <optional>

#include "base/fd.h"
#include "base/json_writer.h"
#include "front/commands/commands.h"
#include "front/service/health_monitor.h"
#include "front/table.h"
#include "runtime/container/container.h"
#include "runtime/sys/process_stat.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxProc = std::size_t{1} << 20;
constexpr double kPercent = 100;
constexpr double kMsToNs = 1e6;

struct Network {
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
};

struct Sample {
  std::string id;
  pid_t pid = 0;
  std::string time;
  cgroup::Stats stats;
  std::optional<Network> network;
  std::optional<double> cpu_percent;
};

// Of all links but the loopback. Source: proc(5), /proc/net/dev.
std::optional<Network> NetworkOf(pid_t pid) {
  const Result<std::string> text = ReadFile("/proc/" + std::to_string(pid) + "/net/dev", kMaxProc);
  if (!text) {
    return {};
  }
  Network network;
  std::string_view rest{*text};
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || line.substr(0, colon).ends_with(" lo")) {
      continue;
    }
    std::array<std::uint64_t, 16> numbers{};
    const char* at = line.data() + colon + 1;
    const char* const end = line.data() + line.size();
    for (std::uint64_t& number : numbers) {
      while (at < end && *at == ' ') {
        ++at;
      }
      at = std::from_chars(at, end, number).ptr;
    }
    network.received += numbers[0];
    network.sent += numbers[8];
  }
  return network;
}

// Milliseconds since the process was started.
std::optional<double> AgeMs(pid_t pid) {
  const Result<sys::ProcessStat> stat = sys::ReadProcessStat(pid);
  timespec now{};
  if (!stat || ::clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
    return {};
  }
  const double started = static_cast<double>(stat->start_time) * 1000 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double age = static_cast<double>(now.tv_sec) * 1000 + static_cast<double>(now.tv_nsec) / kMsToNs - started;
  return age > 0 ? std::optional<double>{age} : std::nullopt;
}

// None of a container that has ended meanwhile.
std::optional<Sample> Take(const container::Settings& settings, const std::string& id) {
  const Result<container::Snapshot> snapshot = container::Load(settings, id);
  if (!snapshot || snapshot->status == container::Status::kStopped) {
    return {};
  }
  Result<cgroup::Stats> stats = container::ReadStats(settings, id);
  return Sample{.id = id,
                .pid = snapshot->state.pid,
                .time = TimeNow(),
                .stats = stats ? *std::move(stats) : cgroup::Stats{},
                .network = NetworkOf(snapshot->state.pid),
                .cpu_percent = {}};
}

std::uint64_t IoBytes(const cgroup::Stats& stats, std::string_view op) {
  std::uint64_t bytes = 0;
  const auto found = stats.io->lists.find("ioServiceBytesRecursive");
  if (found != stats.io->lists.end()) {
    for (const cgroup::IoEntry& entry : found->second) {
      bytes += entry.op == op ? entry.value : 0;
    }
  }
  return bytes;
}

// What the kernel gives back before anybody would miss it.
std::uint64_t CacheBytes(const cgroup::MemoryStats& memory) {
  for (const char* name : {"total_inactive_file", "inactive_file"}) {
    if (const auto found = memory.raw.find(name); found != memory.raw.end()) {
      return std::min(found->second, memory.usage.usage);
    }
  }
  return 0;
}

// The kernel's words for no limit are near 2^63 or 2^64.
std::optional<std::uint64_t> LimitOf(std::uint64_t limit) {
  constexpr std::uint64_t kNone = std::uint64_t{1} << 60;
  return limit == 0 || limit >= kNone ? std::nullopt : std::optional<std::uint64_t>{limit};
}

void MaybeUint(JsonWriter& out, const char* key, const std::optional<std::uint64_t>& value) {
  out.Key(key);
  value ? out.Uint(*value) : out.Null();
}

// An object of numbers, or null where this host counts none.
void Numbers(JsonWriter& out, const char* key,
             const std::optional<std::vector<std::pair<const char*, std::optional<std::uint64_t>>>>& numbers) {
  out.Key(key);
  if (!numbers) {
    out.Null();
    return;
  }
  out.BeginObject();
  for (const auto& [name, value] : *numbers) {
    MaybeUint(out, name, value);
  }
  out.EndObject();
}

void WriteJson(JsonWriter& out, const Sample& sample) {
  using Pairs = std::vector<std::pair<const char*, std::optional<std::uint64_t>>>;
  const cgroup::Stats& stats = sample.stats;
  out.BeginObject();
  out.Key("id").String(sample.id);
  out.Key("pid").Int(sample.pid);
  out.Key("time").String(sample.time);
  out.Key("cpuPercent");
  sample.cpu_percent ? out.Double(*sample.cpu_percent) : out.Null();
  Numbers(out, "cpu",
          stats.cpu ? std::optional{Pairs{
                          {"totalNs", stats.cpu->total}, {"userNs", stats.cpu->user}, {"systemNs", stats.cpu->kernel}}}
                    : std::nullopt);
  std::optional<Pairs> memory;
  if (stats.memory) {
    const std::uint64_t cache = CacheBytes(*stats.memory);
    memory = {{"bytes", stats.memory->usage.usage - cache},
              {"cacheBytes", cache},
              {"limit", LimitOf(stats.memory->usage.limit)}};
  }
  Numbers(out, "memory", memory);
  Numbers(out, "pids",
          stats.pids ? std::optional{Pairs{{"current", stats.pids->current}, {"limit", LimitOf(stats.pids->limit)}}}
                     : std::nullopt);
  Numbers(out, "io",
          stats.io
              ? std::optional{Pairs{{"readBytes", IoBytes(stats, "Read")}, {"writtenBytes", IoBytes(stats, "Write")}}}
              : std::nullopt);
  Numbers(out, "network",
          sample.network
              ? std::optional{Pairs{{"receivedBytes", sample.network->received}, {"sentBytes", sample.network->sent}}}
              : std::nullopt);
  out.EndObject();
}

std::string Size(std::uint64_t bytes) {
  constexpr auto kUnits = std::to_array<const char*>({"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"});
  constexpr double kStep = 1024;
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= kStep && unit + 1 < kUnits.size()) {
    value /= kStep;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%s" : "%.1f%s", value, kUnits.at(unit));
  return text.data();
}

std::string Percent(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f%%", value);
  return text.data();
}

std::vector<std::string> TableRow(const Sample& sample) {
  const cgroup::Stats& stats = sample.stats;
  std::string memory = "-";
  std::string memory_percent = "-";
  if (stats.memory) {
    const std::uint64_t used = stats.memory->usage.usage - CacheBytes(*stats.memory);
    const auto limit = LimitOf(stats.memory->usage.limit);
    memory = Size(used) + " / " + (limit ? Size(*limit) : "-");
    if (limit) {
      memory_percent = Percent(kPercent * static_cast<double>(used) / static_cast<double>(*limit));
    }
  }
  return {sample.id,
          sample.cpu_percent ? Percent(*sample.cpu_percent) : "-",
          memory,
          memory_percent,
          stats.pids ? std::to_string(stats.pids->current) : "-",
          stats.io ? Size(IoBytes(stats, "Read")) + " / " + Size(IoBytes(stats, "Write")) : "-",
          sample.network ? Size(sample.network->received) + " / " + Size(sample.network->sent) : "-"};
}

struct Before {
  std::uint64_t total = 0;
  std::int64_t when_ms = 0;
};

// Since the last time; the first time, since it was started.
void AddPercent(Sample& sample, std::map<std::string, Before>& before) {
  if (!sample.stats.cpu) {
    return;
  }
  const std::int64_t now = MonotonicMs();
  const std::uint64_t total = sample.stats.cpu->total;
  const auto found = before.find(sample.id);
  if (found != before.end() && now > found->second.when_ms && total >= found->second.total) {
    sample.cpu_percent = kPercent * static_cast<double>(total - found->second.total) /
                         (static_cast<double>(now - found->second.when_ms) * kMsToNs);
  } else if (const std::optional<double> age = AgeMs(sample.pid)) {
    sample.cpu_percent = kPercent * static_cast<double>(total) / (*age * kMsToNs);
  }
  before[sample.id] = {.total = total, .when_ms = now};
}

Result<> Print(const std::vector<Sample>& samples, const StatsCommand& command) {
  if (command.json) {
    JsonWriter out;
    out.BeginArray();
    for (const Sample& sample : samples) {
      WriteJson(out, sample);
    }
    out.EndArray();
    return WriteAll(STDOUT_FILENO, out.Take() + "\n", "stdout");
  }
  std::vector<std::vector<std::string>> rows = {
      {"ID", "CPU", "MEMORY / LIMIT", "MEM", "PIDS", "READ / WRITTEN", "RECEIVED / SENT"}};
  for (const Sample& sample : samples) {
    rows.push_back(TableRow(sample));
  }
  // A table that is drawn anew stands where the old one stood.
  const bool again = command.follow && ::isatty(STDOUT_FILENO) == 1;
  return WriteAll(STDOUT_FILENO, (again ? "\x1b[H\x1b[J" : "") + FormatTable(rows), "stdout");
}

}  // namespace

Result<int> RunStats(const Globals& globals, const StatsCommand& command) {
  const container::Settings settings{.root = globals.root, .warn = [](const std::string&) {}};
  std::map<std::string, Before> before;
  for (;;) {
    std::vector<std::string> ids = command.ids;
    if (ids.empty()) {
      for (const container::Snapshot& snapshot : TRY(container::List(settings))) {
        ids.push_back(snapshot.state.id);
      }
    }
    std::vector<Sample> samples;
    for (const std::string& id : ids) {
      if (std::optional<Sample> sample = Take(settings, id); sample) {
        AddPercent(*sample, before);
        samples.push_back(*std::move(sample));
      } else if (!command.ids.empty() && !command.follow) {
        TRY_IN(id, container::Load(settings, id));
        return std::unexpected(Failure(id + ": container not running"));
      }
    }
    TRY(Print(samples, command));
    if (!command.follow || (!command.ids.empty() && samples.empty())) {
      return 0;
    }
    ::poll(nullptr, 0, command.interval_ms);
  }
}

}  // namespace nucleus::front
