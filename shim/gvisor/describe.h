// What of gVisor this host has, for doctor and features: told before any bundle asks for it.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace nucleus::gvisor {

// Names and values. With `tries` a sandbox is made on runsc's default platform, for a bounded time, and nothing of it
// is left; kvm, which can hang a host, is never tried.
std::vector<std::pair<std::string, std::string>> Describe(bool tries);

}  // namespace nucleus::gvisor
