// Carries out a service's health command, by `nucleus exec` as the workload's own user.
#pragma once

#include <poll.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "front/program.h"
#include "front/service/health.h"

namespace nucleus::front {

class HealthMonitor {
 public:
  // `pid_file`: a path of the caller's own, for a process that has to be ended.
  HealthMonitor(Globals globals, std::string id, HealthOptions options, std::string pid_file);
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;
  ~HealthMonitor();

  // The workload runs.
  void Begin();
  // It does no more: a check that is under way ends.
  void End();

  // For the caller's loop: what to poll, and until when (milliseconds of CLOCK_MONOTONIC; 0: no end).
  void AddTo(std::vector<pollfd>& entries) const;
  [[nodiscard]] std::int64_t deadline_ms() const;
  // After each poll. True where there is a new result; `changed`: and another health.
  bool Step(bool& changed);

  [[nodiscard]] const HealthTracker& tracker() const {
    return tracker_;
  }

 private:
  Result<> Start();
  void ReadOutput();
  void TooLate();
  [[nodiscard]] bool running() const {
    return static_cast<bool>(check_.pidfd);
  }

  Globals globals_;
  std::string id_;
  HealthOptions options_;
  std::string pid_file_;
  HealthTracker tracker_;
  bool active_ = false;
  Child check_;
  Fd output_;
  HealthResult result_;
  std::int64_t late_ms_ = 0;  // when the check is ended by force, the next step
  int forced_ = 0;            // steps that were taken
};

// Of CLOCK_MONOTONIC.
std::int64_t MonotonicMs();
// Of the clock on the wall, as FormatTime has it.
std::string TimeNow();

}  // namespace nucleus::front
