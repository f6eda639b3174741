// Links and their addresses, in the network namespace of a Socket. Source: rtnetlink(7), linux/if_link.h,
// linux/if_addr.h.
#pragma once

#include <linux/if_addr.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/net/netlink.h"

namespace nucleus::net {

struct Link {
  std::int32_t index = 0;
  std::uint32_t flags = 0;  // IFF_*
  std::string name;
  std::string address;       // of the hardware, bytes
  std::string kind;          // "veth", "bridge", ...; empty: a piece of hardware
  std::uint32_t master = 0;  // index of the bridge or bond that it is a port of; 0: none
};

// ENODEV where there is none.
Result<Link> FindLink(Socket& socket, const std::string& name);
Result<Link> LinkAt(Socket& socket, std::int32_t index);

// `name` may be a template, "eth%d": the kernel puts the first free number there. EEXIST where the name is taken. Up to
// Linux 6.1 the link must be down.
Result<> RenameLink(Socket& socket, std::int32_t index, const std::string& name);
Result<> SetLinkUp(Socket& socket, std::int32_t index, bool up);
Result<> SetLinkMaster(Socket& socket, std::int32_t index, std::uint32_t master);
// Into the namespace that `netns` is a descriptor of, under the same name: EEXIST where that is taken there.
Result<> MoveLink(Socket& socket, std::int32_t index, int netns);

struct Address {
  ifaddrmsg header{};       // family, prefix length, scope
  std::uint32_t flags = 0;  // IFA_F_*
  std::string attributes;   // as the kernel told them
  [[nodiscard]] bool permanent() const {
    return (flags & IFA_F_PERMANENT) != 0;
  }
  [[nodiscard]] bool global() const;
  // An address of IPv6 that is changed for another now and then; for IPv4 the same flag means another thing.
  [[nodiscard]] bool temporary() const;
};

// Of IPv4 and IPv6.
Result<std::vector<Address>> ListAddresses(Socket& socket, std::int32_t index);

// With its peer, broadcast address and metric. An address that is there already is no error. `again`: the link's own
// address once more, with its label and what is left of its lifetime.
Result<> AddAddress(Socket& socket, std::int32_t index, const Address& address, bool again);

}  // namespace nucleus::net
