#include "runtime/net/neighbour.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace nucleus::net {
namespace {

std::string_view Bytes(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

ndmsg Header(std::int32_t index, const std::string& address) {
  ndmsg header{};
  header.ndm_family = address.size() > 4 ? AF_INET6 : AF_INET;
  header.ndm_ifindex = index;
  header.ndm_state = NUD_PERMANENT;
  return header;
}

}  // namespace

Result<> PutNeighbour(Socket& socket, std::int32_t index, const std::string& address, const Mac& mac) {
  Request request{RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, Header(index, address)};
  TRY(socket.Exchange(std::move(request.Attribute(NDA_DST, address).Attribute(NDA_LLADDR, Bytes(mac)))));
  return {};
}

Result<> DeleteNeighbour(Socket& socket, std::int32_t index, const std::string& address) {
  Request request{RTM_DELNEIGH, NLM_F_ACK, Header(index, address)};
  const auto deleted = socket.Exchange(std::move(request.Attribute(NDA_DST, address)));
  if (!deleted && deleted.error().code != ENOENT && deleted.error().code != ENODEV) {
    return std::unexpected(deleted.error());
  }
  return {};
}

Result<> FixPort(Socket& socket, std::int32_t port, const Mac& mac) {
  ifinfomsg link{};
  link.ifi_family = AF_BRIDGE;
  link.ifi_index = port;
  Attributes flags;
  for (const std::uint16_t flag :
       {IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD, IFLA_BRPORT_MCAST_FLOOD, IFLA_BRPORT_BCAST_FLOOD}) {
    flags.Byte(flag, 0);
  }
  TRY(socket.Exchange(std::move(Request{RTM_SETLINK, NLM_F_ACK, link}.Nested(IFLA_PROTINFO, flags))));
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = port;
  header.ndm_state = NUD_NOARP;
  header.ndm_flags = NTF_MASTER;
  Request request{RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header};
  TRY(socket.Exchange(std::move(request.Attribute(NDA_LLADDR, Bytes(mac)))));
  return {};
}

}  // namespace nucleus::net
