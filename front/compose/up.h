// `nucleus compose up` and `down`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "front/compose/bundles.h"
#include "front/compose/plan.h"
#include "front/compose/project.h"
#include "front/compose/topology.h"
#include "front/service/record.h"

namespace nucleus::front::compose {

// Services of this project that there are, by name.
Result<std::map<std::string, ServiceStatus>> PresentServices(const Globals& globals, const std::string& project);

Result<std::vector<Step>> PlanOf(const std::map<std::string, ServiceStatus>& present,
                                 const std::vector<Wanted>& wanted);

// Of a project that is locked. Where a service does not come up, what was there before is started again.
Result<> Up(const Globals& globals, const Project& project, const Topology& topology);

// Ends all of them, who depends on another one first. Then removes what the project has in memory.
Result<> Down(const Globals& globals, Project& project, bool volumes);

}  // namespace nucleus::front::compose
