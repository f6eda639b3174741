#include "runtime/net/new_link.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

namespace nucleus::net {
namespace {

std::string_view Bytes(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

Request LinkRequest(std::uint16_t type, std::uint16_t flags, std::int32_t index, std::uint8_t family = AF_UNSPEC) {
  ifinfomsg header{};
  header.ifi_family = family;
  header.ifi_index = index;
  return {type, static_cast<std::uint16_t>(flags | NLM_F_ACK), header};
}

Result<> Change(Socket& socket, Request request) {
  TRY(socket.Exchange(std::move(request)));
  return {};
}

}  // namespace

Result<> MakeVeth(Socket& socket, const VethEnd& here, const VethEnd& there, int netns) {
  Attributes peer;
  peer.Fixed(ifinfomsg{})
      .Text(IFLA_IFNAME, there.name)
      .Add(IFLA_ADDRESS, Bytes(there.mac))
      .Number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns));
  if (there.mtu != 0) {
    peer.Number(IFLA_MTU, there.mtu);
  }
  Attributes data;
  data.Nested(VETH_INFO_PEER, peer);
  Attributes info;
  info.Text(IFLA_INFO_KIND, "veth").Nested(IFLA_INFO_DATA, data);
  Request request = LinkRequest(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
  request.Text(IFLA_IFNAME, here.name).Attribute(IFLA_ADDRESS, Bytes(here.mac)).Nested(IFLA_LINKINFO, info);
  if (here.mtu != 0) {
    request.Number(IFLA_MTU, here.mtu);
  }
  return Change(socket, std::move(request));
}

Result<> MakeBridge(Socket& socket, const std::string& name, const Mac& mac) {
  Attributes data;
  data.Number(IFLA_BR_STP_STATE, 0).Byte(IFLA_BR_MCAST_SNOOPING, 0);
  Attributes info;
  info.Text(IFLA_INFO_KIND, "bridge").Nested(IFLA_INFO_DATA, data);
  return Change(socket, LinkRequest(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0)
                            .Text(IFLA_IFNAME, name)
                            .Attribute(IFLA_ADDRESS, Bytes(mac))
                            .Nested(IFLA_LINKINFO, info));
}

Result<> DeleteLink(Socket& socket, std::int32_t index) {
  return Change(socket, LinkRequest(RTM_DELLINK, 0, index));
}

namespace {

Result<> SetPortFlag(Socket& socket, std::int32_t index, std::uint16_t flag) {
  Attributes port;
  port.Byte(flag, 1);
  return Change(socket, LinkRequest(RTM_SETLINK, 0, index, AF_BRIDGE).Nested(IFLA_PROTINFO, port));
}

}  // namespace

Result<> SetPortIsolated(Socket& socket, std::int32_t index) {
  return SetPortFlag(socket, index, IFLA_BRPORT_ISOLATED);
}

Result<> SetPortHairpin(Socket& socket, std::int32_t index) {
  return SetPortFlag(socket, index, IFLA_BRPORT_MODE);
}

Result<> SetNoLinkLocal(Socket& socket, std::int32_t index) {
  Attributes mode;
  mode.Byte(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  Attributes families;
  families.Nested(AF_INET6, mode);
  return Change(socket, LinkRequest(RTM_SETLINK, 0, index).Nested(IFLA_AF_SPEC, families));
}

Result<> SetAlias(Socket& socket, std::int32_t index, const std::string& alias) {
  return Change(socket, LinkRequest(RTM_SETLINK, 0, index).Text(IFLA_IFALIAS, alias));
}

Result<std::string> GetAlias(Socket& socket, std::int32_t index) {
  for (const std::string& answer : TRY(socket.Exchange(LinkRequest(RTM_GETLINK, 0, index)))) {
    ifinfomsg header{};
    if (const std::optional<std::string_view> attributes = TakeHeader(answer, header)) {
      return TextAttribute(*attributes, IFLA_IFALIAS);
    }
  }
  return std::unexpected(Failure(ErrnoText(ENODEV), ENODEV));
}

}  // namespace nucleus::net
