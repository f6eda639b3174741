#include "runtime/egress/rules/match.h"

namespace nucleus::egress {

std::string AllowName(Family family, std::uint32_t generation) {
  return SetName("allow" + FamilySuffix(family), generation);
}
std::string AllowPortsName(Family family, std::uint32_t generation) {
  return SetName("allow_ports" + FamilySuffix(family), generation);
}
std::string DenyName(Family family, std::uint32_t generation) {
  return SetName("deny" + FamilySuffix(family), generation);
}
std::string DenyPortsName(Family family, std::uint32_t generation) {
  return SetName("deny_ports" + FamilySuffix(family), generation);
}
std::string GroupName(std::size_t group, Family family, std::uint32_t generation) {
  return SetName("names" + std::to_string(group) + "_" + FamilySuffix(family), generation);
}
std::string GroupPortsName(std::size_t group, std::uint32_t generation) {
  return SetName("names" + std::to_string(group) + "_ports", generation);
}
std::string MembersName(Family family, std::uint32_t generation) {
  return SetName("members" + FamilySuffix(family), generation);
}
std::string InboundName(std::uint32_t generation) {
  return SetName("inbound", generation);
}
std::string ResolverPortsName(std::uint32_t generation) {
  return SetName("resolver_ports", generation);
}

void AddPolicySets(const Compiled& compiled, std::uint32_t generation, std::vector<nft::Set>& sets) {
  for (const Family family : {kIpv4, kIpv6}) {
    const AddressSets& deny = compiled.deny[family];
    const AddressSets& allow = compiled.allow[family];
    if (!deny.whole.empty()) {
      sets.push_back(IntervalSet(DenyName(family, generation), family, deny.whole));
    }
    if (!deny.ports.empty()) {
      sets.push_back(PortRuleSet(DenyPortsName(family, generation), family, deny.ports));
    }
    if (!allow.whole.empty()) {
      sets.push_back(IntervalSet(AllowName(family, generation), family, allow.whole));
    }
    if (!allow.ports.empty()) {
      sets.push_back(PortRuleSet(AllowPortsName(family, generation), family, allow.ports));
    }
    if (!compiled.members[family].empty()) {
      sets.push_back(MemberSet(MembersName(family, generation), compiled.members[family]));
    }
    for (std::size_t group = 0; group < compiled.groups.size(); ++group) {
      sets.push_back(TimedSet(GroupName(group, family, generation), family));
    }
  }
  for (std::size_t group = 0; group < compiled.groups.size(); ++group) {
    if (!compiled.groups[group].ports.empty()) {
      sets.push_back(PortSet(GroupPortsName(group, generation), compiled.groups[group].ports));
    }
  }
  if (!compiled.inbound.empty()) {
    sets.push_back(PortSet(InboundName(generation), compiled.inbound));
  }
  if (!compiled.names.empty()) {
    using policies::Protocol;
    sets.push_back(PortSet(
        ResolverPortsName(generation),
        {{Protocol::kTcp, 53, 53}, {Protocol::kTcp, 853, 853}, {Protocol::kUdp, 53, 53}, {Protocol::kUdp, 853, 853}}));
  }
}

}  // namespace nucleus::egress
