#include "runtime/egress/uplink/inside.h"

#include "runtime/egress/uplink/impl.h"
#include "runtime/egress/uplink/netns.h"
#include "runtime/egress/uplink/sysctl.h"
#include "runtime/net/link.h"
#include "runtime/net/neighbour.h"

namespace nucleus::uplink {
namespace {

// Nobody tells it routes: not by router advertisements, not by redirects.
Result<> SetSettings(bool v6) {
  const std::string device{kContainerDevice};
  for (const char* where : {"all", kContainerDevice}) {
    TRY(SetSysctl("ipv4/conf/" + std::string{where} + "/accept_redirects", "0"));
  }
  if (v6) {
    TRY(SetSysctl("ipv6/conf/" + device + "/disable_ipv6", "0"));
    TRY(SetSysctl("ipv6/conf/" + device + "/accept_ra", "0"));
    TRY(SetSysctl("ipv6/conf/" + device + "/autoconf", "0"));
    TRY(SetSysctl("ipv6/conf/" + device + "/accept_redirects", "0"));
  }
  return {};
}

Result<> AddWay(net::Socket& socket, std::int32_t index, const net::Prefix& address, const net::Prefix& gateway,
                const net::Mac& mac) {
  TRY(net::PutAddress(socket, index, address));
  TRY(net::PutNeighbour(socket, index, gateway.bytes, mac));
  TRY(net::PutRoute(socket, index, gateway, ""));
  return net::PutRoute(socket, index, {.bytes = std::string(gateway.bytes.size(), '\0'), .length = 0}, gateway.bytes);
}

}  // namespace

Result<> SetUpInside(int netns, const Ends& ends) {
  return Inside(netns, [&ends]() -> Result<> {
    TRY_IN("settings of the container's network", SetSettings(ends.v6.has_value()));
    net::Socket socket = TRY(net::Socket::Open());
    const net::Link link = TRY(net::FindLink(socket, kContainerDevice));
    TRY(net::SetLinkUp(socket, link.index, true));
    TRY_IN("the container's network", AddWay(socket, link.index, ends.v4, ends.v4_gateway, ends.gateway_mac));
    if (ends.v6) {
      TRY_IN("the container's network", AddWay(socket, link.index, *ends.v6, ends.v6_gateway, ends.gateway_mac));
    }
    return {};
  });
}

Result<> RefuseDevice(int netns) {
  return Inside(netns, []() -> Result<> {
    net::Socket socket = TRY(net::Socket::Open());
    const Result<net::Link> link = net::FindLink(socket, kContainerDevice);
    if (link) {
      return std::unexpected(Failure("the network namespace of the container has a link eth0 already", EEXIST));
    }
    return link.error().code == ENODEV ? Result<>{} : std::unexpected(link.error());
  });
}

}  // namespace nucleus::uplink
