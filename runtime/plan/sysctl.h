// Which sysctls belong to a container.
#pragma once

#include <string>
#include <string_view>

namespace nucleus::plan {

// The file below /proc/sys that `key` names: "net/ipv4/ip_forward" for "net.ipv4.ip_forward" and for
// "net/ipv4/ip_forward". The first separator tells the spelling; the other one is then part of a name, so that
// "net.ipv4.conf.eth0/1.forwarding" is about the interface eth0.1. Empty for a key with an empty component, "." or
// "..": what is checked and what is written must be the same file.
std::string SysctlPath(std::string_view key);

// The namespace (CLONE_NEW*) that `key` is local to, 0 when it is the whole host's.
// Source: Documentation/admin-guide/sysctl/, ipc_namespaces(7), network_namespaces(7).
int SysctlNamespace(std::string_view key);

}  // namespace nucleus::plan
