// What the container's cgroups have counted, on v1 and v2, in the terms that `events` reports.
// Source: Documentation/admin-guide/cgroup-v1/, Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/state.h"

namespace nucleus::cgroup {

// Pressure stall information: shares of time in percent, total in microseconds.
struct PressureLine {
  double avg10 = 0;
  double avg60 = 0;
  double avg300 = 0;
  std::uint64_t total = 0;
};
struct Pressure {
  PressureLine some;
  PressureLine full;
};

struct CpuStats {  // nanoseconds
  std::uint64_t total = 0;
  std::uint64_t kernel = 0;
  std::uint64_t user = 0;
  std::vector<std::uint64_t> per_cpu;  // v1 only, like the two below
  std::vector<std::uint64_t> per_cpu_kernel;
  std::vector<std::uint64_t> per_cpu_user;
  std::uint64_t periods = 0;
  std::uint64_t throttled_periods = 0;
  std::uint64_t throttled_time = 0;
  std::optional<Pressure> pressure;
};

struct MemoryEntry {  // bytes
  std::uint64_t limit = 0;
  std::uint64_t usage = 0;
  std::uint64_t max = 0;
  std::uint64_t failures = 0;
};
struct MemoryStats {
  std::uint64_t cache = 0;
  MemoryEntry usage;
  MemoryEntry swap;  // memory and swap together
  MemoryEntry kernel;
  MemoryEntry kernel_tcp;
  std::map<std::string, std::uint64_t> raw;
  std::optional<Pressure> pressure;
};

struct CpusetStats {
  std::vector<unsigned> cpus;
  std::vector<unsigned> mems;
  std::map<std::string, std::uint64_t> flags;  // by the kernel's name without the "cpuset." before it
};

struct PidsStats {
  std::uint64_t current = 0;
  std::uint64_t limit = 0;  // 0: none
};

struct IoEntry {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::string op;
  std::uint64_t value = 0;
};
struct IoStats {
  std::map<std::string, std::vector<IoEntry>> lists;  // "ioServiceBytesRecursive", ... as `events` names them
  std::optional<Pressure> pressure;
};

struct HugetlbStats {
  std::uint64_t usage = 0;
  std::uint64_t max = 0;
  std::uint64_t failures = 0;
};

// A part whose controller is absent is empty.
struct Stats {
  std::optional<CpuStats> cpu;
  std::optional<CpusetStats> cpuset;
  std::optional<MemoryStats> memory;
  std::optional<PidsStats> pids;
  std::optional<IoStats> io;
  std::map<std::string, HugetlbStats> hugetlb;  // by page size
};

Result<Stats> ReadStats(const std::vector<oci::StateCgroup>& cgroups);

// Tells of processes that were killed for want of memory.
class OomWatch {
 public:
  // Empty where there is no memory controller.
  static Result<std::optional<OomWatch>> Make(const std::vector<oci::StateCgroup>& cgroups);

  [[nodiscard]] int fd() const {
    return fd_.get();
  }
  // What to poll for: POLLIN or POLLPRI.
  [[nodiscard]] short events() const {
    return events_;
  }
  // After poll: has there been one since the last call? Clears the condition.
  bool Take();

 private:
  Fd fd_;
  Fd control_;             // v1: memory.oom_control, which must stay open
  std::string directory_;  // v1
  short events_ = 0;
  std::uint64_t killed_ = 0;  // v2: the count that was seen last
};

}  // namespace nucleus::cgroup
