// Links that are made: pairs of virtual Ethernet devices, bridges and their ports. Source: rtnetlink(7), veth(4),
// linux/if_link.h.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "runtime/net/netlink.h"

namespace nucleus::net {

using Mac = std::array<std::uint8_t, 6>;

struct VethEnd {
  std::string name;
  Mac mac{};
  std::uint32_t mtu = 0;  // 0: the kernel's default
};

// Both ends down: `here` in the socket's namespace, `there` in the one that `netns` is a descriptor of. EEXIST where a
// name is taken.
Result<> MakeVeth(Socket& socket, const VethEnd& here, const VethEnd& there, int netns);

// Down, without the spanning tree protocol, and without snooping, which would ask for a querier.
Result<> MakeBridge(Socket& socket, const std::string& name, const Mac& mac);

Result<> DeleteLink(Socket& socket, std::int32_t index);

// No packet passes from one isolated port of a bridge to another.
Result<> SetPortIsolated(Socket& socket, std::int32_t index);

// A packet may leave by the port that it came in by.
Result<> SetPortHairpin(Socket& socket, std::int32_t index);

// The kernel gives it no link-local IPv6 address when it comes up.
Result<> SetNoLinkLocal(Socket& socket, std::int32_t index);

// A text that goes with the link, up to 255 bytes; "" where there is none.
Result<> SetAlias(Socket& socket, std::int32_t index, const std::string& alias);
Result<std::string> GetAlias(Socket& socket, std::int32_t index);

}  // namespace nucleus::net
