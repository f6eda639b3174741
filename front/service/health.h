// Is a service well? What its health command says, over time (the words are those of Docker and podman). Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::front {

struct HealthOptions {
  std::vector<std::string> command;  // words; empty: nobody asks
  int start_period_ms = 0;           // in which a failure counts for nothing, until the first success
  int interval_ms = 30000;           // from the end of one check to the next
  int timeout_ms = 30000;
  int retries = 3;  // so many failures in a row are `unhealthy`
};

enum class Health { kNone, kStarting, kHealthy, kUnhealthy };
std::string_view HealthName(Health health);  // "none", "starting", ...
Health ParseHealth(std::string_view name);   // kNone of any other word

// What is kept of one check.
struct HealthResult {
  std::string start;  // RFC 3339
  std::string end;
  int exit_code = 0;   // 128+N of signal N; -1 where it was ended for its time
  std::string output;  // both streams, the first kMostHealthOutput bytes
};
inline constexpr std::size_t kMostHealthOutput = 4096;
inline constexpr std::size_t kMostHealthResults = 5;

// A line for /bin/sh, or words as a JSON array of strings.
Result<std::vector<std::string>> ParseHealthCommand(const std::string& text);

class HealthTracker {
 public:
  explicit HealthTracker(HealthOptions options);
  // The workload has (again) begun to run, at `now_ms` of any clock that does not jump.
  void Begin(std::int64_t now_ms);
  // A check has ended. True where the health is another now.
  bool Record(std::int64_t now_ms, HealthResult result);
  // When the next check is due. At once after Begin; every second, or interval if that is shorter, in the start period.
  [[nodiscard]] std::int64_t next_ms() const {
    return next_ms_;
  }
  [[nodiscard]] Health health() const {
    return health_;
  }
  [[nodiscard]] int failing_streak() const {
    return failing_streak_;
  }
  [[nodiscard]] const std::deque<HealthResult>& results() const {  // the last is the newest
    return results_;
  }

 private:
  HealthOptions options_;
  Health health_ = Health::kNone;
  int failing_streak_ = 0;
  std::int64_t begun_ms_ = 0;
  std::int64_t next_ms_ = 0;
  std::deque<HealthResult> results_;
};

}  // namespace nucleus::front
