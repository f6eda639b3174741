// Masquerade and published ports, as tables of nf_tables of the network namespace that the process is in.
// docs/network.md says what is in them. Source: nft(8).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "oci-config/publish.h"
#include "runtime/net/route.h"

namespace nucleus::uplink {

// Of all containers behind one device: no packet from there to the loopback addresses of the host, none forwarded to
// there but of published ports, between members and in answer, no ICMP redirects.
struct Gate {
  std::string table;
  std::string inside;  // the device
  // Nothing else is forwarded: where forwarding is on for the containers alone.
  bool close_v4 = false;
  bool close_v6 = false;
};

// Of one container. A published port that is for all addresses leaves ::1 out unless `v6_loopback`: where the device is
// a bridge whose packets the host's br_netfilter sees, answers to ::1 do not come back.
struct Nat {
  std::string table;
  std::string inside;
  net::Prefix v4;
  std::optional<net::Prefix> v6;
  std::vector<oci::PublishedPort> publish;
  // Who may send to it besides, by family: addresses in bytes, none twice. Their packets have kMemberMark.
  std::vector<std::string> members_v4;
  std::vector<std::string> members_v6;
};

// In one transaction; a table of that name is replaced, unless it is the same gate.
Result<> LoadGate(const Gate& gate);
Result<> LoadNat(const Nat& nat);

// For a bridge in whose namespace br_netfilter is on: that hands a packet which a published port sends back to the same
// bridge from port to port, which isolation of the ports would forbid. Nothing else goes from port to port.
Result<> LoadPorts(const std::string& table, const std::string& port_prefix);
Result<> DeletePorts(const std::string& table);

// No error where there is none.
Result<> DeleteTable(const std::string& table);

// Can `publish` be loaded? Not for ::1 alone. Ranges that lead to other numbers become one rule a port, and have a
// bound.
Result<> CheckPublish(const std::vector<oci::PublishedPort>& publish);

}  // namespace nucleus::uplink
