// A service of a topology as a bundle, and as what its supervisor needs to know.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "front/compose/project.h"
#include "front/compose/topology.h"
#include "front/service/service.h"

namespace nucleus::front::compose {

// Labels of a service that a project has made.
inline constexpr const char* kProjectLabel = "compose.project";
inline constexpr const char* kServiceLabel = "compose.service";
inline constexpr const char* kDigestLabel = "compose.digest";
inline constexpr const char* kAfterLabel = "compose.after";  // with commas

struct Wanted {
  std::string service;
  std::string digest;  // of all that a running one cannot change into another: 64 digits
  ServiceSpec spec;
  std::string bundle;  // its directory
};

// Of each service, by its derived bundle: config.json without what is another each time (ids of the host, paths below
// the project's own directory), the digests of its policies, secrets and root filesystem, and its supervision.
Result<std::vector<Wanted>> WantedServices(const Project& project, const Topology& topology, const Numbers& numbers);

// Writes the bundle of one service, in the supervisor. Nothing where the service brings one.
Result<> MakeBundle(const Project& project, const Topology& topology, const Numbers& numbers, const Wanted& wanted);

}  // namespace nucleus::front::compose
