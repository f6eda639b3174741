// What /proc/PID/stat says: a pid alone may name another process tomorrow, pid and start time together never do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace nucleus::sys {

struct ProcessStat {
  char state = '?';              // R, S, D, T, Z, X ...
  std::uint64_t start_time = 0;  // clock ticks since boot (field 22)
  [[nodiscard]] bool dead() const {
    return state == 'Z' || state == 'X' || state == 'x';
  }
};

Result<ProcessStat> ParseProcessStat(std::string_view text);
// ESRCH or ENOENT in the error's code when there is no such process.
Result<ProcessStat> ReadProcessStat(pid_t pid);

}  // namespace nucleus::sys
