// The egress policy: where a container may connect to. Everything else is refused.
//
//   log = true
//   inbound = ["tcp/8080"]                   # what may be connected to from outside; left out: nothing
//   [[allow]]
//   cidr = "10.0.0.0/8"                      # IPv4 or IPv6, or `domain`
//   ports = ["tcp/443", "udp/8000-8010"]     # left out: all
//   [[allow]]
//   domain = "*.example.com"                 # any depth below; "example.com" is the apex alone
//   [[deny]]                                 # wins over allow
//   cidr = "169.254.0.0/16"
//   [dns]
//   servers = ["10.0.0.1"]                   # needed where a domain is allowed
//   [broker]
//   endpoint = "10.0.42.1:8080"              # only this; excludes allow, deny and dns
//   environment = false                      # no HTTP_PROXY and the like for the workload; left out: true
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::policies {

struct Address {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // network order; 4 of them for IPv4
};

// No bits beyond the prefix are set.
struct Cidr {
  Address address;
  int prefix = 0;
};

enum class Protocol { kTcp, kUdp };

struct PortRange {
  Protocol protocol = Protocol::kTcp;
  std::uint16_t first = 0;
  std::uint16_t last = 0;  // inclusive
};

struct EgressRule {
  std::optional<Cidr> cidr;  // either this
  std::string domain;        // or this: lower case, no final dot; of a wildcard what stands behind "*."
  bool wildcard = false;
  std::vector<PortRange> ports;  // empty: all ports of all protocols
};

struct EgressPolicy {
  bool log = false;
  std::vector<PortRange> inbound;
  std::vector<EgressRule> allow;
  std::vector<EgressRule> deny;
  std::vector<Address> dns_servers;
  struct Broker {
    Address address;
    std::uint16_t port = 0;
    bool environment = true;  // the workload is told of it: HTTP_PROXY and its like
  };
  std::optional<Broker> broker;
};

// Unknown keys, malformed addresses, ports and names, a rule given twice, a domain without a DNS server, and a broker
// beside anything else are errors: "FILE:LINE: KEY: ...".
Result<EgressPolicy> ParseEgressPolicy(std::string_view toml, const std::string& name);

// Of host names as DNS has them (RFC 1123 section 2.1; up to 253 bytes, labels up to 63; underscores are in use).
bool IsDomainName(std::string_view name);

}  // namespace nucleus::policies
