// Which addresses a name may lead to. Used by the parser, which leaves the others out of answers, and by the setter,
// which does not believe it. Source: IANA's special-purpose address registries (RFC 6890) and address space registries.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "policies/egress_policy.h"

namespace nucleus::gate {

// Many prefixes, looked up in logarithmic time.
class Prefixes {
 public:
  explicit Prefixes(std::span<const policies::Cidr> prefixes);
  [[nodiscard]] bool Have(const policies::Address& address) const;

 private:
  using Key = std::array<std::uint8_t, 17>;  // the family in front
  struct Range {
    Key first;
    Key last;
  };
  static Key KeyOf(const policies::Address& address);
  std::vector<Range> ranges_;  // sorted, apart
};

class AddressPolicy {
 public:
  AddressPolicy(std::span<const policies::Cidr> allowed, std::span<const policies::Cidr> denied);
  // Never: what is denied, unspecified, multicast, or IPv4 in the clothes of IPv6 (::ffff:0:0/96). What is not of the
  // public Internet: where a CIDR is allowed that has it.
  [[nodiscard]] bool MayGrant(const policies::Address& address) const;

 private:
  Prefixes allowed_;
  Prefixes denied_;
};

// For people.
std::string AddressText(const policies::Address& address);

}  // namespace nucleus::gate
