// Nothing leaves a network namespace that has no link. Source: rtnetlink(7).
#pragma once

#include "base/error.h"

namespace nucleus::net {

// An error that names a link of this process's network namespace by which packets could leave it: every one but
// loopback, and but the tunnels that the kernel puts into each namespace, which lead nowhere without another link.
Result<> RefuseUplinks();

}  // namespace nucleus::net
