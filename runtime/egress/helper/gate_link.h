// The way to the gate for a container whose network is a stack of its own on the links of its namespace (gVisor): the
// namespace's loopback is not that stack's. Instead there is one more link, which leads to a network namespace with
// nothing in it but that link and the gate's sockets.
#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "policies/egress_policy.h"

namespace nucleus::egress {

// net::kGateBesideStack, where the gate listens.
policies::Address GateBesideStack();

// That namespace; the link is there as long as it is. EEXIST where the container's has one of this name. Takes a
// process with one thread, and CAP_NET_ADMIN and CAP_SYS_ADMIN over both namespaces.
Result<Fd> MakeGateLink(int container_netns);

}  // namespace nucleus::egress
