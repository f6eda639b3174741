#include "runtime/egress/rules/compiled.h"

#include <netinet/in.h>

#include <algorithm>

namespace nucleus::egress {
namespace {

Result<std::array<AddressSets, 2>> SetsOf(const std::vector<policies::EgressRule>& rules) {
  std::array<AddressSets, 2> sets;
  for (const policies::EgressRule& rule : rules) {
    if (!rule.cidr) {
      continue;
    }
    AddressSets& of = sets[rule.cidr->address.v6 ? kIpv6 : kIpv4];
    if (rule.ports.empty()) {
      of.whole.push_back(IntervalOf(*rule.cidr));
    } else {
      of.ports.push_back({.addresses = IntervalOf(*rule.cidr), .ports = rule.ports});
    }
  }
  for (AddressSets& of : sets) {
    of.whole = Merge(std::move(of.whole));
    of.ports = TRY(Split(of.ports));
  }
  return sets;
}

std::uint32_t GroupOf(std::vector<NameGroup>& groups, const std::vector<policies::PortRange>& ports) {
  const auto same = [&ports](const NameGroup& group) {
    return std::ranges::equal(group.ports, ports, [](const policies::PortRange& a, const policies::PortRange& b) {
      return a.protocol == b.protocol && a.first == b.first && a.last == b.last;
    });
  };
  const auto found = std::ranges::find_if(groups, same);
  if (found != groups.end()) {
    return static_cast<std::uint32_t>(found - groups.begin());
  }
  groups.push_back({.ports = ports});
  return static_cast<std::uint32_t>(groups.size() - 1);
}

std::string Protocol(policies::Protocol protocol) {
  return nft::Pad(std::string(1, static_cast<char>(protocol == policies::Protocol::kTcp ? IPPROTO_TCP : IPPROTO_UDP)));
}

std::string Port(std::uint16_t port) {
  return nft::Pad({static_cast<char>(port >> 8), static_cast<char>(port & 0xFF)});
}

std::uint32_t AddressType(Family family) {
  return family == kIpv4 ? nft::kTypeIpv4 : nft::kTypeIpv6;
}

std::uint8_t AddressLength(Family family) {
  return family == kIpv4 ? 4 : 16;
}

}  // namespace

Result<Compiled> Compile(const policies::EgressPolicy& policy) {
  Compiled compiled;
  compiled.allow = TRY_IN("egress: allow", SetsOf(policy.allow));
  compiled.deny = TRY_IN("egress: deny", SetsOf(policy.deny));
  for (const policies::EgressRule& rule : policy.allow) {
    if (!rule.domain.empty()) {
      compiled.names.push_back({.domain = rule.domain,
                                .wildcard = rule.wildcard,
                                .group = GroupOf(compiled.groups, MergePorts(rule.ports))});
    }
  }
  compiled.broker = policy.broker;
  compiled.inbound = MergePorts(policy.inbound);
  compiled.log = policy.log;
  return compiled;
}

std::string RuleName(const GrantedName& name) {
  return (name.wildcard ? "*." : "") + name.domain;
}

std::string SetName(const std::string& name, std::uint32_t generation) {
  return name + "_" + std::to_string(generation);
}

nft::Set IntervalSet(std::string name, Family family, const std::vector<AddressInterval>& intervals) {
  nft::Set set{.name = std::move(name),
               .flags = NFT_SET_INTERVAL | NFT_SET_CONSTANT,
               .type = AddressType(family),
               .key_length = AddressLength(family),
               .concatenation = {},
               .elements = {}};
  for (const AddressInterval& interval : intervals) {
    set.elements.push_back({.key = interval.first, .key_end = {}});
    if (std::string behind = NextAddress(interval.last); !behind.empty()) {
      set.elements.push_back({.key = std::move(behind), .key_end = {}, .interval_end = true});
    }
  }
  return set;
}

nft::Set PortRuleSet(std::string name, Family family, const std::vector<PortRule>& rules) {
  constexpr std::uint32_t kService = nft::kTypeProtocol << nft::kTypeBits | nft::kTypeService;
  nft::Set set{.name = std::move(name),
               .flags = NFT_SET_INTERVAL | NFT_SET_CONCAT | NFT_SET_CONSTANT,
               .type = AddressType(family) << 2 * nft::kTypeBits | kService,
               .key_length = AddressLength(family) + 8U,
               .concatenation = {AddressLength(family), 1, 2},
               .elements = {}};
  for (const PortRule& rule : rules) {
    for (const policies::PortRange& range : rule.ports) {
      const std::string protocol = Protocol(range.protocol);
      set.elements.push_back({.key = rule.addresses.first + protocol + Port(range.first),
                              .key_end = rule.addresses.last + protocol + Port(range.last)});
    }
  }
  return set;
}

nft::Set PortSet(std::string name, const std::vector<policies::PortRange>& ports) {
  nft::Set set{.name = std::move(name),
               .flags = NFT_SET_INTERVAL | NFT_SET_CONCAT | NFT_SET_CONSTANT,
               .type = nft::kTypeProtocol << nft::kTypeBits | nft::kTypeService,
               .key_length = 8,
               .concatenation = {1, 2},
               .elements = {}};
  for (const policies::PortRange& range : ports) {
    const std::string protocol = Protocol(range.protocol);
    set.elements.push_back({.key = protocol + Port(range.first), .key_end = protocol + Port(range.last)});
  }
  return set;
}

nft::Set MemberSet(std::string name, const std::vector<std::string>& addresses) {
  nft::Set set{.name = std::move(name),
               .flags = NFT_SET_CONSTANT,
               .type = AddressType(addresses.front().size() == AddressLength(kIpv4) ? kIpv4 : kIpv6),
               .key_length = static_cast<std::uint32_t>(addresses.front().size()),
               .concatenation = {},
               .elements = {}};
  for (const std::string& address : addresses) {
    set.elements.push_back({.key = address, .key_end = {}});
  }
  return set;
}

nft::Set TimedSet(std::string name, Family family) {
  return {.name = std::move(name),
          .flags = NFT_SET_TIMEOUT,
          .type = AddressType(family),
          .key_length = AddressLength(family),
          .concatenation = {},
          .elements = {}};
}

}  // namespace nucleus::egress
