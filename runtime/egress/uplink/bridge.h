// The bridge of a host and its containers' places on it, under the lock of the leases. A lease is alive as long as the
// link is there that was made in its name: the kernel takes that away with the container's network namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/egress/uplink/lease.h"
#include "runtime/egress/uplink/pool.h"
#include "runtime/net/link.h"

namespace nucleus::uplink {

inline constexpr const char* kBridgeName = "nucleus0";
inline constexpr const char* kPortPrefix = "nuc";
inline constexpr const char* kGateTable = "nucleus-nat";

struct Bridge {
  std::int32_t index = 0;
  Pool pool;
  // br_netfilter is on in this namespace: nf_tables keeps the ports apart (LoadPorts), otherwise the bridge does.
  bool filtered = false;
};

// Makes what is missing of it: the link with its addresses, settings, the gate, forwarding.
Result<Bridge> EnsureBridge(net::Socket& socket, const Leases& leases, bool v6);
// Where no container is left. Forwarding that was switched on for it is off again.
Result<> DeleteBridge(net::Socket& socket, const Leases& leases);

std::string PortName(std::uint32_t number);
std::string NatTable(std::uint32_t number);
std::string AliasOf(const Lease& lease);

// The link that was made in the name of the lease.
Result<std::optional<net::Link>> FindPort(net::Socket& socket, const Lease& lease);

// Takes all away that was made in the name of the lease, then the lease.
Result<> Vacate(net::Socket& socket, const Leases& leases, const Lease& lease);

// Vacates the places of containers that are gone. The others.
Result<std::vector<Lease>> SweepLeases(net::Socket& socket, const Leases& leases);

}  // namespace nucleus::uplink
