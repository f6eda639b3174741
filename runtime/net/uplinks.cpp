#include "runtime/net/uplinks.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "runtime/net/netlink.h"

namespace nucleus::net {
namespace {

#ifndef ARPHRD_IP6GRE
#define ARPHRD_IP6GRE 823
#endif

bool IsFallbackTunnel(const ifinfomsg& header, std::string_view attributes) {
  constexpr auto kTypes =
      std::to_array<unsigned short>({ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT, ARPHRD_IPGRE, ARPHRD_IP6GRE});
  constexpr auto kNames = std::to_array<std::string_view>(
      {"tunl0", "ip6tnl0", "sit0", "gre0", "ip6gre0", "ip_vti0", "ip6_vti0", "gretap0", "erspan0"});
  // One that was moved here carries its packets in the namespace that it came from.
  return std::ranges::find(kTypes, header.ifi_type) != kTypes.end() &&
         std::ranges::find(kNames, TextAttribute(attributes, IFLA_IFNAME)) != kNames.end() &&
         !FindAttribute(attributes, IFLA_LINK_NETNSID);
}

}  // namespace

Result<> RefuseUplinks() {
  Socket socket = TRY(Socket::Open());
  ifinfomsg everything{};
  everything.ifi_family = AF_UNSPEC;
  for (const std::string& answer : TRY(socket.Exchange({RTM_GETLINK, NLM_F_DUMP, everything}))) {
    ifinfomsg header{};
    const std::optional<std::string_view> attributes = TakeHeader(answer, header);
    if (!attributes) {
      return std::unexpected(Failure("an answer of the kernel is cut short", EPROTO));
    }
    if (header.ifi_type != ARPHRD_LOOPBACK && !IsFallbackTunnel(header, *attributes)) {
      return std::unexpected(
          Failure("the network namespace has the link " + TextAttribute(*attributes, IFLA_IFNAME), ENOTSUP));
    }
  }
  return {};
}

}  // namespace nucleus::net
