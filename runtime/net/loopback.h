// The one link that a new network namespace has. Source: netdevice(7), network_namespaces(7).
#pragma once

#include "base/error.h"

namespace nucleus::net {

// Sets `lo` of this process's network namespace up, as every caller of a runtime expects to find it: the kernel makes
// it down. Takes CAP_NET_ADMIN over the namespace.
Result<> SetLoopbackUp();

}  // namespace nucleus::net
