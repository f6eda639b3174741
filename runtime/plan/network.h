// What nucleus does about the network of a container: its links and the rules of its egress policy (docs/network.md).
#pragma once

#include "base/error.h"
#include "oci-config/annotations.h"
#include "policies/policies.h"
#include "runtime/plan/plan.h"

namespace nucleus::plan {

// `dev.nucleus.network` adds the network namespace where config.json lists none; one with a path is an error but for
// `oci`. Pure.
Result<oci::Spec> ApplyNetwork(const oci::Annotations& annotations, const oci::Spec& spec);

// plan.network, plan.deny_uplinks, the mount of resolv.conf. An error where a policy was asked for that cannot hold: no
// network namespace, or capabilities by which the container could get around it.
Result<> PlanNetwork(const oci::Annotations& annotations, const policies::Policies& policies, const Options& options,
                     const Host& host, Plan& plan);

// The same for a process of `exec`: CAP_NET_ADMIN and CAP_NET_RAW go around rules inside of the namespace.
Result<> CheckNetworkCapabilities(const oci::Annotations& annotations, bool filtered, const Host& host,
                                  const confine::CapabilitySets& sets);

}  // namespace nucleus::plan
