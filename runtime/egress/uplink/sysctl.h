// Network settings below /proc/sys/net, of the network namespace that the process is in. Source:
// Documentation/networking/ip-sysctl.rst.
#pragma once

#include <string>

#include "base/error.h"

namespace nucleus::uplink {

// `name` as "ipv4/ip_forward". ENOENT where the kernel does not have it. Without the newline at its end.
Result<std::string> GetSysctl(const std::string& name);

// Written only where the value is another one, so that nothing is asked of a /proc/sys that is read-only in vain.
Result<> SetSysctl(const std::string& name, const std::string& value);

// Does the namespace have IPv6, and is it not switched off for all links?
bool HasIpv6();

}  // namespace nucleus::uplink
