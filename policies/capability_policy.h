// The capabilities policy: which capabilities a process may keep, set by set.
//
//   keep = ["CAP_NET_BIND_SERVICE"]       for all five sets, or
//   [bounding]                            a table per set; a set without one keeps nothing
//   keep = ["CAP_NET_BIND_SERVICE"]
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::policies {

struct CapabilityPolicy {
  oci::Capabilities keep;
};

// Unknown keys and names, names given twice, and `keep` beside tables are errors: "FILE:LINE: KEY: ...".
Result<CapabilityPolicy> ParseCapabilityPolicy(std::string_view toml, const std::string& name);

// What config.json grants and the policy keeps, in each set.
oci::Capabilities Narrow(const std::optional<oci::Capabilities>& granted, const CapabilityPolicy& policy);

// "CAP_CHOWN"? One of capabilities(7).
bool IsCapability(std::string_view name);

}  // namespace nucleus::policies
