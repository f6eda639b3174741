// The broker of an egress policy: the one proxy that a container may talk to. The workload finds it in its environment,
// with a token by which the broker knows the container. Inside runtime/container only.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "policies/egress_policy.h"
#include "runtime/container/state_dir.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

// 128 random bits, as hex.
Result<std::string> NewBrokerToken();

// HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and the same in lower case, which is what half of all programs look at;
// those that the bundle sets are left as they are. Nothing where the policy says so.
void AddBrokerVariables(const policies::EgressPolicy::Broker& broker, const std::string& token,
                        std::vector<std::string>& environment);

// Connects to it once, from this process's network namespace: a workload that starts without its broker could do
// nothing but fail. Waits for it for some seconds.
Result<> ReachBroker(const policies::EgressPolicy::Broker& broker);

// resolv.conf, where the gate answers names, and the token.
Result<> WriteNetworkFiles(const StateDir& directory, const plan::Plan& plan, const std::string& token);

}  // namespace nucleus::container
