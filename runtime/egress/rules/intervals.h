// Address arithmetic for interval sets: overlapping and adjacent networks become disjoint intervals, as nf_tables wants
// them. Addresses are bytes in network order, 4 or 16.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "policies/egress_policy.h"

namespace nucleus::egress {

std::string BytesOf(const policies::Address& address);
// The one after it; empty behind the last one.
std::string NextAddress(std::string address);

struct AddressInterval {
  std::string first;
  std::string last;  // inclusive
  bool operator==(const AddressInterval&) const = default;
};
AddressInterval IntervalOf(const policies::Cidr& cidr);

// Sorted, disjoint and not adjacent.
std::vector<AddressInterval> Merge(std::vector<AddressInterval> intervals);

// Ports of both protocols, sorted, disjoint and not adjacent.
std::vector<policies::PortRange> MergePorts(std::vector<policies::PortRange> ports);

struct PortRule {
  AddressInterval addresses;
  std::vector<policies::PortRange> ports;
};
// The same as disjoint rules: where networks overlap, the ports of all that cover an address stand together. E2BIG
// where that would be more than kMaxPieces ranges.
Result<std::vector<PortRule>> Split(const std::vector<PortRule>& rules);
inline constexpr std::size_t kMaxPieces = 65536;

}  // namespace nucleus::egress
