// The addresses of containers: a /16 of IPv4, the first of some that is free on this host, and one /64 of IPv6. Number
// 1 is the gateway's, 2 to 65533 are containers'.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "policies/egress_policy.h"
#include "runtime/net/new_link.h"
#include "runtime/net/route.h"

namespace nucleus::uplink {

inline constexpr std::uint32_t kGatewayNumber = 1;
inline constexpr std::uint32_t kFirstNumber = 2;
inline constexpr std::uint32_t kLastNumber = 65533;

struct Pool {
  std::array<std::uint8_t, 2> network{};  // of the /16

  [[nodiscard]] net::Prefix V4(std::uint32_t number, std::uint8_t length) const;
  [[nodiscard]] static net::Prefix V6(std::uint32_t number, std::uint8_t length);
};

// The first one that overlaps no route of the socket's namespace, those over the link `own` apart; the default route is
// none. EADDRINUSE with the route where there is no such pool; the same where IPv6's network is taken.
Result<Pool> ChoosePool(net::Socket& socket, std::int32_t own, bool v6);

// The one that the address belongs to.
std::optional<Pool> PoolOf(std::string_view v4_address);

// Locally administered: 02 + "nuc" + number for a container and the gateway, 06 in front for the other end of a veth.
net::Mac MacOf(std::uint32_t number);
net::Mac OuterMacOf(std::uint32_t number);

policies::Address ToAddress(const net::Prefix& prefix);
policies::Cidr ToCidr(const net::Prefix& prefix);

// 10.107.0.0/16
std::string Text(const net::Prefix& prefix);

}  // namespace nucleus::uplink
