// Inside runtime/egress/gate only.
#pragma once

#include <cstdint>
#include <ctime>

namespace nucleus::gate {

// Milliseconds; goes on while the machine sleeps, as the sets' timeouts do not: an answer is forgotten no later than
// that.
inline std::int64_t Milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

}  // namespace nucleus::gate
