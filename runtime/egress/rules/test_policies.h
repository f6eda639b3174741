// For unit tests: a policy with every kind of rule whose tables depend on the policy alone.
#pragma once

#include <string>

namespace nucleus::egress {

inline const std::string kEveryNetworkRule = R"(
inbound = ["tcp/80", "udp/5000-5005"]
[[allow]]
cidr = "10.0.0.0/8"
[[allow]]
cidr = "0.0.0.0/1"
[[allow]]
cidr = "192.0.2.0/24"
ports = ["tcp/443", "udp/8000-8010"]
[[allow]]
cidr = "192.0.2.128/25"
ports = ["tcp/80"]
[[allow]]
cidr = "2001:db8::/32"
[[allow]]
cidr = "2001:db9::/32"
ports = ["tcp/443"]
[[deny]]
cidr = "10.66.0.0/16"
[[deny]]
cidr = "10.67.0.0/16"
ports = ["tcp/22"]
[[deny]]
cidr = "2001:db8:66::/48"
)";

}  // namespace nucleus::egress
