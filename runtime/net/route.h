// Addresses and routes of the main table, in the network namespace of a Socket. Source: rtnetlink(7).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/net/netlink.h"

namespace nucleus::net {

// Bytes in network order: 4 for IPv4, 16 for IPv6.
struct Prefix {
  std::string bytes;
  std::uint8_t length = 0;
  [[nodiscard]] bool v6() const {
    return bytes.size() > 4;
  }
};

// Without duplicate address detection: it can be used at once.
Result<> PutAddress(Socket& socket, std::int32_t index, const Prefix& address);

// `gateway` empty: what is reached is on the link itself. An empty destination (length 0, the right size) is the
// default route.
Result<> PutRoute(Socket& socket, std::int32_t index, const Prefix& destination, const std::string& gateway);

struct Route {
  Prefix destination;
  std::int32_t index = 0;  // of the link; 0 where it has several or none
};

// Unicast routes of the main table, of one family. Nothing where the kernel does not know the family.
Result<std::vector<Route>> ListRoutes(Socket& socket, bool v6);

}  // namespace nucleus::net
