// events: one JSON object a line, in the form that runc's callers parse.

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "base/json_writer.h"
#include "shim/cli/commands.h"

namespace nucleus::shim {
namespace {

template <class Numbers>
void WriteNumbers(JsonWriter& out, std::string_view key, const Numbers& numbers) {
  if (numbers.empty()) {
    return;
  }
  out.Key(key).BeginArray();
  for (const auto number : numbers) {
    out.Uint(number);
  }
  out.EndArray();
}

void WritePressureLine(JsonWriter& out, std::string_view key, const cgroup::PressureLine& line) {
  out.Key(key).BeginObject();
  out.Key("avg10").Double(line.avg10);
  out.Key("avg60").Double(line.avg60);
  out.Key("avg300").Double(line.avg300);
  out.Key("total").Uint(line.total);
  out.EndObject();
}

void WritePressure(JsonWriter& out, const std::optional<cgroup::Pressure>& pressure) {
  if (pressure) {
    out.Key("psi").BeginObject();
    WritePressureLine(out, "some", pressure->some);
    WritePressureLine(out, "full", pressure->full);
    out.EndObject();
  }
}

void WriteCpu(JsonWriter& out, const cgroup::CpuStats& cpu) {
  out.Key("cpu").BeginObject();
  out.Key("usage").BeginObject();
  out.Key("total").Uint(cpu.total);
  WriteNumbers(out, "percpu", cpu.per_cpu);
  WriteNumbers(out, "percpu_kernel", cpu.per_cpu_kernel);
  WriteNumbers(out, "percpu_user", cpu.per_cpu_user);
  out.Key("kernel").Uint(cpu.kernel);
  out.Key("user").Uint(cpu.user);
  out.EndObject();
  out.Key("throttling").BeginObject();
  out.Key("periods").Uint(cpu.periods);
  out.Key("throttledPeriods").Uint(cpu.throttled_periods);
  out.Key("throttledTime").Uint(cpu.throttled_time);
  out.EndObject();
  WritePressure(out, cpu.pressure);
  out.EndObject();
}

void WriteEntry(JsonWriter& out, std::string_view key, const cgroup::MemoryEntry& entry) {
  out.Key(key).BeginObject();
  out.Key("limit").Uint(entry.limit);
  out.Key("usage").Uint(entry.usage);
  out.Key("max").Uint(entry.max);
  out.Key("failcnt").Uint(entry.failures);
  out.EndObject();
}

void WriteMemory(JsonWriter& out, const cgroup::MemoryStats& memory) {
  out.Key("memory").BeginObject();
  out.Key("cache").Uint(memory.cache);
  WriteEntry(out, "usage", memory.usage);
  WriteEntry(out, "swap", memory.swap);
  WriteEntry(out, "kernel", memory.kernel);
  WriteEntry(out, "kernelTCP", memory.kernel_tcp);
  out.Key("raw").BeginObject();
  for (const auto& [name, value] : memory.raw) {
    out.Key(name).Uint(value);
  }
  out.EndObject();
  WritePressure(out, memory.pressure);
  out.EndObject();
}

void WriteCpuset(JsonWriter& out, const cgroup::CpusetStats& cpuset) {
  out.Key("cpuset").BeginObject();
  WriteNumbers(out, "cpus", cpuset.cpus);
  WriteNumbers(out, "mems", cpuset.mems);
  for (const auto& [flag, value] : cpuset.flags) {
    // Level -1 ("as the system says") is the one value below 0.
    out.Key(flag).Int(static_cast<std::int64_t>(value));
  }
  out.EndObject();
}

void WriteIo(JsonWriter& out, const cgroup::IoStats& io) {
  out.Key("blkio").BeginObject();
  for (const auto& [name, entries] : io.lists) {
    out.Key(name).BeginArray();
    for (const cgroup::IoEntry& entry : entries) {
      out.BeginObject();
      out.Key("major").Uint(entry.major);
      out.Key("minor").Uint(entry.minor);
      out.Key("op").String(entry.op);
      out.Key("value").Uint(entry.value);
      out.EndObject();
    }
    out.EndArray();
  }
  WritePressure(out, io.pressure);
  out.EndObject();
}

std::string StatsLine(const std::string& id, const cgroup::Stats& stats) {
  JsonWriter out;
  out.BeginObject();
  out.Key("type").String("stats");
  out.Key("id").String(id);
  out.Key("data").BeginObject();
  WriteCpu(out, stats.cpu.value_or(cgroup::CpuStats{}));
  WriteCpuset(out, stats.cpuset.value_or(cgroup::CpusetStats{}));
  WriteMemory(out, stats.memory.value_or(cgroup::MemoryStats{}));
  const cgroup::PidsStats pids = stats.pids.value_or(cgroup::PidsStats{});
  out.Key("pids").BeginObject();
  out.Key("current").Uint(pids.current);
  out.Key("limit").Uint(pids.limit);
  out.EndObject();
  WriteIo(out, stats.io.value_or(cgroup::IoStats{}));
  out.Key("hugetlb").BeginObject();
  for (const auto& [size, huge] : stats.hugetlb) {
    out.Key(size).BeginObject();
    out.Key("usage").Uint(huge.usage);
    out.Key("max").Uint(huge.max);
    out.Key("failcnt").Uint(huge.failures);
    out.EndObject();
  }
  out.EndObject();
  out.EndObject();
  out.EndObject();
  return out.Take() + "\n";
}

std::string OomLine(const std::string& id) {
  JsonWriter out;
  out.BeginObject();
  out.Key("type").String("oom");
  out.Key("id").String(id);
  out.EndObject();
  return out.Take() + "\n";
}

}  // namespace

Result<int> PrintEvents(const container::Settings& settings, const EventsCommand& command) {
  if (command.stats) {
    const cgroup::Stats stats = TRY(container::ReadStats(settings, command.id));
    TRY(WriteAll(STDOUT_FILENO, StatsLine(command.id, stats), "stdout"));
    return 0;
  }
  TRY(container::WatchEvents(
      settings, command.id, command.interval_ms,
      [&command](const cgroup::Stats& stats) {
        return WriteAll(STDOUT_FILENO, StatsLine(command.id, stats), "stdout");
      },
      [&command] { return WriteAll(STDOUT_FILENO, OomLine(command.id), "stdout"); }));
  return 0;
}

}  // namespace nucleus::shim
