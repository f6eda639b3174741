// Words of the command line after "compose".
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace nucleus::front::compose {

enum class Verb { kHelp, kValidate, kPlan, kUp, kPs, kLogs, kDown };

struct CommandLine {
  Verb verb = Verb::kHelp;
  std::string file = "topology.toml";
  bool json = false;                  // of validate, plan and ps
  bool follow = false;                // of logs
  long last = -1;                     // of logs: lines; -1: all
  bool volumes = false;               // of down
  std::vector<std::string> services;  // of logs
};

Result<CommandLine> ParseCompose(const std::vector<std::string>& words);

extern const char* const kComposeHelp;

}  // namespace nucleus::front::compose
