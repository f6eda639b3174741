// `nucleus compose ps` and `logs`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "front/program.h"
#include "front/service/record.h"

namespace nucleus::front::compose {

// `named`: services of the file.
std::string PsText(const std::map<std::string, ServiceStatus>& present, const std::vector<std::string>& named);
std::string PsJson(const std::string& project, const std::map<std::string, ServiceStatus>& present,
                   const std::vector<std::string>& named);

// All lines in the order of their times, or the last `lines` of each service, each behind its service's name; with
// `follow` those that come, until none of the services runs.
Result<> ShowLogs(const Globals& globals, const std::map<std::string, ServiceStatus>& services, long lines,
                  bool follow);

}  // namespace nucleus::front::compose
