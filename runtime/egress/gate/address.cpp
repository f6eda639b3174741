#include "runtime/egress/gate/address.h"

#include <arpa/inet.h>

#include <algorithm>

namespace nucleus::gate {
namespace {

policies::Cidr V4(std::uint8_t a, std::uint8_t b, std::uint8_t c, int prefix) {
  return {.address = {.v6 = false, .bytes = {a, b, c}}, .prefix = prefix};
}

policies::Cidr V6(std::array<std::uint8_t, 16> bytes, int prefix) {
  return {.address = {.v6 = true, .bytes = bytes}, .prefix = prefix};
}

const Prefixes& Never() {
  static const Prefixes kNever{std::vector{
      V4(0, 0, 0, 8),                                      // "this network"
      V4(224, 0, 0, 4),                                    // multicast
      V4(240, 0, 0, 4),                                    // reserved, and broadcast
      V6({}, 128),                                         // unspecified
      V6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96),  // IPv4-mapped
      V6({0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 96),  // IPv4-translated
      V6({0xff}, 8),                                       // multicast
  }};
  return kNever;
}

// Of IPv6 everything but 2000::/3 is special, or nobody's yet: NAT64 (64:ff9b::/96), unique local, link-local, ...
const Prefixes& Special() {
  static const Prefixes kSpecial{std::vector{
      V4(10, 0, 0, 8),
      V4(100, 64, 0, 10),  // shared address space (CGNAT)
      V4(127, 0, 0, 8),
      V4(169, 254, 0, 16),  // link-local, metadata services of clouds
      V4(172, 16, 0, 12),
      V4(192, 0, 0, 24),    // IETF protocol assignments
      V4(192, 0, 2, 24),    // documentation
      V4(192, 88, 99, 24),  // 6to4 relays
      V4(192, 168, 0, 16),
      V4(198, 18, 0, 15),    // benchmarks
      V4(198, 51, 100, 24),  // documentation
      V4(203, 0, 113, 24),   // documentation
      V6({}, 3),
      V6({0x40}, 2),
      V6({0x80}, 1),
      V6({0x20, 0x01}, 23),              // IETF protocol assignments, Teredo
      V6({0x20, 0x01, 0x0d, 0xb8}, 32),  // documentation
      V6({0x20, 0x02}, 16),              // 6to4: IPv4 inside
      V6({0x3f, 0xff}, 20),              // documentation
  }};
  return kSpecial;
}

}  // namespace

Prefixes::Key Prefixes::KeyOf(const policies::Address& address) {
  Key key{};
  key[0] = address.v6 ? 1 : 0;
  std::copy_n(address.bytes.begin(), address.v6 ? 16 : 4, key.begin() + 1);
  return key;
}

Prefixes::Prefixes(std::span<const policies::Cidr> prefixes) {
  for (const policies::Cidr& prefix : prefixes) {
    Range range{.first = KeyOf(prefix.address), .last = {}};
    const int bits = prefix.address.v6 ? 128 : 32;
    range.last = range.first;
    for (int bit = prefix.prefix; bit < bits; ++bit) {
      const std::size_t at = 1 + static_cast<std::size_t>(bit) / 8;
      const auto mask = static_cast<std::uint8_t>(0x80 >> (bit % 8));
      range.first[at] &= static_cast<std::uint8_t>(~mask);
      range.last[at] |= mask;
    }
    ranges_.push_back(range);
  }
  std::ranges::sort(ranges_, {}, &Range::first);
  std::size_t kept = 0;
  for (std::size_t i = 1; i < ranges_.size(); ++i) {
    if (ranges_[i].first <= ranges_[kept].last) {
      ranges_[kept].last = std::max(ranges_[kept].last, ranges_[i].last);
    } else {
      ranges_[++kept] = ranges_[i];
    }
  }
  ranges_.resize(ranges_.empty() ? 0 : kept + 1);
}

bool Prefixes::Have(const policies::Address& address) const {
  const Key key = KeyOf(address);
  const auto after = std::ranges::upper_bound(ranges_, key, {}, &Range::first);
  return after != ranges_.begin() && key <= std::prev(after)->last;
}

AddressPolicy::AddressPolicy(std::span<const policies::Cidr> allowed, std::span<const policies::Cidr> denied)
    : allowed_(allowed), denied_(denied) {
}

bool AddressPolicy::MayGrant(const policies::Address& address) const {
  if (denied_.Have(address) || Never().Have(address)) {
    return false;
  }
  return !Special().Have(address) || allowed_.Have(address);
}

std::string AddressText(const policies::Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), text.size());
  return text.data();
}

}  // namespace nucleus::gate
