#include "runtime/egress/uplink/pool.h"

#include <arpa/inet.h>

#include <algorithm>

namespace nucleus::uplink {
namespace {

// docs/network.md has them.
constexpr auto kCandidates =
    std::to_array<std::array<std::uint8_t, 2>>({{10, 107}, {10, 214}, {172, 27}, {172, 30}, {192, 168}});
constexpr std::uint8_t kV4Length = 16;
constexpr std::uint8_t kV6Length = 64;
// fd and "nucleus": RFC 4193 without the lottery; it never leaves the host.
constexpr std::string_view kV6Network{"\xfdnucleus", 8};
constexpr unsigned kByte = 8;
constexpr unsigned kByteMask = 0xff;

char High(std::uint32_t number) {
  return static_cast<char>(number >> kByte & kByteMask);
}
char Low(std::uint32_t number) {
  return static_cast<char>(number & kByteMask);
}

net::Mac Hardware(std::uint8_t first, std::uint32_t number) {
  return {first,
          'n',
          'u',
          'c',
          static_cast<std::uint8_t>(number >> kByte & kByteMask),
          static_cast<std::uint8_t>(number & kByteMask)};
}

bool Overlap(const net::Prefix& one, const net::Prefix& other) {
  const unsigned length = std::min(one.length, other.length);
  for (unsigned bit = 0; bit < length; ++bit) {
    const auto differ = static_cast<unsigned char>(one.bytes[bit / kByte] ^ other.bytes[bit / kByte]);
    if ((differ >> (kByte - 1 - bit % kByte) & 1U) != 0) {
      return false;
    }
  }
  return true;
}

// The route that is in the way.
std::optional<net::Prefix> InTheWay(const std::vector<net::Route>& routes, const net::Prefix& pool, std::int32_t own) {
  const auto route = std::ranges::find_if(routes, [&pool, own](const net::Route& candidate) {
    return candidate.destination.length > 0 && (own == 0 || candidate.index != own) &&
           Overlap(candidate.destination, pool);
  });
  return route == routes.end() ? std::nullopt : std::optional{route->destination};
}

}  // namespace

net::Prefix Pool::V4(std::uint32_t number, std::uint8_t length) const {
  return {.bytes = {static_cast<char>(network[0]), static_cast<char>(network[1]), High(number), Low(number)},
          .length = length};
}

net::Prefix Pool::V6(std::uint32_t number, std::uint8_t length) {
  std::string bytes{kV6Network};
  bytes.resize(sizeof(in6_addr) - 2);
  return {.bytes = bytes + High(number) + Low(number), .length = length};
}

Result<Pool> ChoosePool(net::Socket& socket, std::int32_t own, bool v6) {
  const auto taken = [](const net::Prefix& pool, const net::Prefix& route) {
    return Failure(
        "the network " + Text(pool) + " of containers overlaps the route to " + Text(route) + " of this host",
        EADDRINUSE);
  };
  if (v6) {
    const net::Prefix pool = Pool::V6(0, kV6Length);
    if (const std::optional<net::Prefix> route = InTheWay(TRY(net::ListRoutes(socket, true)), pool, own)) {
      return std::unexpected(taken(pool, *route));
    }
  }
  const std::vector<net::Route> routes = TRY(net::ListRoutes(socket, false));
  std::optional<Error> error;
  for (const auto& candidate : kCandidates) {
    const Pool pool{.network = candidate};
    const std::optional<net::Prefix> route = InTheWay(routes, pool.V4(0, kV4Length), own);
    if (!route) {
      return pool;
    }
    if (!error) {
      error = taken(pool.V4(0, kV4Length), *route);
    }
  }
  error->message += ", and each of the others another one";
  return std::unexpected(*error);
}

std::optional<Pool> PoolOf(std::string_view v4_address) {
  for (const auto& candidate : kCandidates) {
    const Pool pool{.network = candidate};
    if (v4_address == pool.V4(kGatewayNumber, 0).bytes) {
      return pool;
    }
  }
  return {};
}

net::Mac MacOf(std::uint32_t number) {
  return Hardware(0x02, number);
}
net::Mac OuterMacOf(std::uint32_t number) {
  return Hardware(0x06, number);
}

policies::Address ToAddress(const net::Prefix& prefix) {
  policies::Address address{.v6 = prefix.v6(), .bytes = {}};
  std::ranges::copy(prefix.bytes, address.bytes.begin());
  return address;
}

policies::Cidr ToCidr(const net::Prefix& prefix) {
  return {.address = ToAddress(prefix), .prefix = prefix.length};
}

std::string Text(const net::Prefix& prefix) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(prefix.v6() ? AF_INET6 : AF_INET, prefix.bytes.data(), text.data(), text.size());
  return std::string{text.data()} + "/" + std::to_string(prefix.length);
}

}  // namespace nucleus::uplink
