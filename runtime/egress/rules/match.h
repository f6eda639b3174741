// Beginnings of rules that both tables share.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/egress/nft/rule.h"
#include "runtime/egress/rules/compiled.h"

namespace nucleus::egress {

// Offsets in the headers: RFC 791, RFC 8200.
inline constexpr std::uint32_t kIpv4Source = 12;
inline constexpr std::uint32_t kIpv4Destination = 16;
inline constexpr std::uint32_t kIpv6Source = 8;
inline constexpr std::uint32_t kIpv6Destination = 24;
inline constexpr std::uint32_t kIpv6NextHeader = 6;
inline constexpr std::uint32_t kIpv6HopLimit = 7;
inline constexpr std::uint32_t kSourcePort = 0;
inline constexpr std::uint32_t kDestinationPort = 2;

inline std::uint32_t AddressWords(Family family) {
  return family == kIpv4 ? 1 : 4;
}

// Into register 1.
inline nft::Rule& Destination(nft::Rule& rule, Family family) {
  return family == kIpv4 ? rule.Network(kIpv4Destination, 4) : rule.Network(kIpv6Destination, 16);
}
inline nft::Rule& Source(nft::Rule& rule, Family family) {
  return family == kIpv4 ? rule.Network(kIpv4Source, 4) : rule.Network(kIpv6Source, 16);
}
// destination . protocol . destination port
inline nft::Rule& DestinationAndPort(nft::Rule& rule, Family family) {
  Destination(rule, family);
  rule.Meta(NFT_META_L4PROTO, AddressWords(family));
  return rule.Transport(kDestinationPort, 2, AddressWords(family) + 1);
}
// protocol . port at `offset`
inline nft::Rule& ProtocolAndPort(nft::Rule& rule, std::uint32_t offset) {
  return rule.Meta(NFT_META_L4PROTO).Transport(offset, 2, 1);
}

inline std::string FamilySuffix(Family family) {
  return family == kIpv4 ? "4" : "6";
}

// The sets of a policy, which both tables have under the same names.
void AddPolicySets(const Compiled& compiled, std::uint32_t generation, std::vector<nft::Set>& sets);

// Set names.
std::string AllowName(Family family, std::uint32_t generation);
std::string AllowPortsName(Family family, std::uint32_t generation);
std::string DenyName(Family family, std::uint32_t generation);
std::string DenyPortsName(Family family, std::uint32_t generation);
std::string GroupName(std::size_t group, Family family, std::uint32_t generation);
std::string GroupPortsName(std::size_t group, std::uint32_t generation);
std::string MembersName(Family family, std::uint32_t generation);
std::string InboundName(std::uint32_t generation);
// Ports by which names are asked for, around the gate: DNS and DNS over TLS or QUIC.
std::string ResolverPortsName(std::uint32_t generation);

}  // namespace nucleus::egress
