// Ports of the host, by trying to have them.
#pragma once

#include <vector>

#include "base/error.h"
#include "oci-config/publish.h"

namespace nucleus::uplink {

// EADDRINUSE with the first port that somebody listens on: with a rule of ours in front he would hear nothing any more.
// EADDRNOTAVAIL where the host has no such address.
Result<> RefuseServedPorts(const std::vector<oci::PublishedPort>& ports, bool v6);

// The other way round: an error with the first one that nobody listens on.
Result<> ExpectServedPorts(const std::vector<oci::PublishedPort>& ports, bool v6);

}  // namespace nucleus::uplink
