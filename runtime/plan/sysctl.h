// Which sysctls belong to a container.
#pragma once

#include <string_view>

namespace nucleus::plan {

// The namespace (CLONE_NEW*) that `key` is local to, 0 when it is the whole host's. Both spellings are known:
// "net.ipv4.ip_forward" and "net/ipv4/ip_forward".
// Source: Documentation/admin-guide/sysctl/, ipc_namespaces(7), network_namespaces(7).
int SysctlNamespace(std::string_view key);

}  // namespace nucleus::plan
