// A service is started: where systemd runs, and in its namespaces, as a transient unit of it, else as a detached
// supervisor.
//
// The unit nucleus-ID.service executes `nucleus compose supervise FILE`, which is RunService with what the file has
// (spec_file.h). It is of Type=notify where the service has a health command: systemd then knows it as active once it
// is healthy. It is ordered after the units of those that the service depends on and wants them; it does not require
// them, or systemd would end it whenever one of them is made anew.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "front/program.h"
#include "front/service/service.h"
#include "runtime/systemd/request.h"

namespace nucleus::front::compose {

// Returns once the workload runs. `path`: where the file of the service is to be; `prepare` writes its bundle.
Result<> Launch(const Globals& globals, const ServiceSpec& spec, const std::string& path,
                const std::function<Result<>()>& prepare);

// `nucleus compose supervise FILE`: the exit status of the service.
Result<int> Supervise(const Globals& globals, const std::string& path);

// What the unit is to be; pure.
systemd::Request UnitOf(const Globals& globals, const ServiceSpec& spec, const std::string& path, bool user);

}  // namespace nucleus::front::compose
