// An egress policy as sets: disjoint, sorted, by family. Pure. What the tables are made of (inner.h, outer.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "policies/egress_policy.h"
#include "runtime/egress/nft/objects.h"
#include "runtime/egress/rules/intervals.h"

namespace nucleus::egress {

enum Family : std::size_t { kIpv4 = 0, kIpv6 = 1 };

struct AddressSets {
  std::vector<AddressInterval> whole;  // all ports of all protocols
  std::vector<PortRule> ports;
  [[nodiscard]] bool empty() const {
    return whole.empty() && ports.empty();
  }
};

// Names whose addresses may be reached at the same ports.
struct NameGroup {
  std::vector<policies::PortRange> ports;  // merged; empty: all
};

struct GrantedName {
  std::string domain;
  bool wildcard = false;
  std::uint32_t group = 0;  // of Compiled::groups
};

// As the policy has it: "*.example.org".
std::string RuleName(const GrantedName& name);

struct Compiled {
  std::array<AddressSets, 2> allow;
  std::array<AddressSets, 2> deny;
  std::vector<NameGroup> groups;
  std::vector<GrantedName> names;
  std::optional<policies::EgressPolicy::Broker> broker;
  std::vector<policies::PortRange> inbound;  // merged: who may be connected to from outside
  // Of other containers, in bytes: all ports of theirs, and all of this one's for them.
  std::array<std::vector<std::string>, 2> members;
  bool log = false;
};

Result<Compiled> Compile(const policies::EgressPolicy& policy);

// ---- as sets of nf_tables

// Each set's name ends in the generation of the rules that use it: a new policy brings its own sets.
std::string SetName(const std::string& name, std::uint32_t generation);

nft::Set IntervalSet(std::string name, Family family, const std::vector<AddressInterval>& intervals);
// address . protocol . port
nft::Set PortRuleSet(std::string name, Family family, const std::vector<PortRule>& rules);
// protocol . port
nft::Set PortSet(std::string name, const std::vector<policies::PortRange>& ports);
// Of single addresses, none twice; at least one.
nft::Set MemberSet(std::string name, const std::vector<std::string>& addresses);
// Of addresses that names have led to, each for a time.
nft::Set TimedSet(std::string name, Family family);

}  // namespace nucleus::egress
