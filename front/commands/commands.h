// The commands for what runs on when its caller has gone: logs, stop, stats, attach, health.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "front/program.h"

namespace nucleus::front {

struct LogsCommand {
  std::string id;
  std::int64_t lines = -1;  // of the end; -1: all
  bool follow = false;
  bool timestamps = false;  // time and stream before each line
  bool json = false;
};
struct StopCommand {
  std::vector<std::string> ids;
  int timeout_ms = -1;  // -1: as each has it
  bool keep = false;    // the log
};
struct StatsCommand {
  std::vector<std::string> ids;  // empty: all that run
  bool json = false;
  bool follow = false;
  int interval_ms = 1000;
};
struct AttachCommand {
  std::string id;
  bool no_input = false;
  std::string detach_keys;  // bytes; empty: none
};
struct HealthCommand {
  std::vector<std::string> ids;  // empty: all
  bool json = false;
};
struct HelpText {
  std::string text;
};

using DayTwoCommand = std::variant<LogsCommand, StopCommand, StatsCommand, AttachCommand, HealthCommand, HelpText>;

bool IsDayTwoCommand(std::string_view name);
// `words`: those after the command.
Result<DayTwoCommand> ParseDayTwo(const std::string& name, Words words);

// The exit status of each.
Result<int> RunLogs(const Globals& globals, const LogsCommand& command);
Result<int> RunStop(const Globals& globals, const StopCommand& command);
Result<int> RunStats(const Globals& globals, const StatsCommand& command);
Result<int> RunAttach(const Globals& globals, const AttachCommand& command);
Result<int> RunHealth(const Globals& globals, const HealthCommand& command);

}  // namespace nucleus::front
