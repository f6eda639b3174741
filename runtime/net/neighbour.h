// Who has which hardware address, told by us instead of asked for: nobody on the link can then say otherwise. Source:
// rtnetlink(7), bridge(8).
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "runtime/net/netlink.h"
#include "runtime/net/new_link.h"

namespace nucleus::net {

// `address` in network order, 4 or 16 bytes. What was known of it before is replaced.
Result<> PutNeighbour(Socket& socket, std::int32_t index, const std::string& address, const Mac& mac);
// No error where there is none.
Result<> DeleteNeighbour(Socket& socket, std::int32_t index, const std::string& address);

// Frames for `mac` leave a bridge by this port, and no others: it learns nothing from what it receives, and gets none
// of those that are for unknown receivers, for several or for all.
Result<> FixPort(Socket& socket, std::int32_t port, const Mac& mac);

}  // namespace nucleus::net
