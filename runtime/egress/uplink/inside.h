// The container's end of a pair of links.
#pragma once

#include <optional>

#include "base/error.h"
#include "runtime/net/new_link.h"
#include "runtime/net/route.h"

namespace nucleus::uplink {

struct Ends {
  net::Prefix v4;
  net::Prefix v4_gateway;
  std::optional<net::Prefix> v6;
  net::Prefix v6_gateway;
  net::Mac gateway_mac{};
};

// Gives eth0 in the namespace `netns` its addresses, sets it up, and routes everything by the gateway.
Result<> SetUpInside(int netns, const Ends& ends);

// EEXIST where there is an eth0 already.
Result<> RefuseDevice(int netns);

}  // namespace nucleus::uplink
