// Source: veth(4), RFC 3927 (addresses of the link alone).

#include "runtime/egress/helper/gate_link.h"

#include <fcntl.h>
#include <sched.h>

#include "runtime/egress/uplink/netns.h"
#include "runtime/egress/uplink/sysctl.h"
#include "runtime/net/link.h"
#include "runtime/net/neighbour.h"
#include "runtime/net/new_link.h"
#include "runtime/net/request.h"
#include "runtime/net/route.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::egress {
namespace {

constexpr const char* kOwn = "/proc/self/ns/net";
constexpr const char* kGateEnd = "gate0";
constexpr const char* kContainerEnd = "dns0";
// Locally administered; the link has no third end.
constexpr net::Mac kGateMac{0x02, 'n', 'u', 'c', 0xff, 1};
constexpr net::Mac kContainerMac{0x02, 'n', 'u', 'c', 0xff, 2};

net::Prefix Address(char last, std::uint8_t length) {
  return {.bytes = {char(169), char(254), 53, last}, .length = length};
}

Result<> SetUp(const char* name, const net::Prefix& own, const net::Prefix& peer, const net::Mac& peer_mac) {
  if (uplink::HasIpv6()) {
    TRY(uplink::SetSysctl("ipv6/conf/" + std::string{name} + "/disable_ipv6", "1"));
  }
  net::Socket socket = TRY(net::Socket::Open());
  const net::Link link = TRY(net::FindLink(socket, name));
  TRY(net::SetLinkUp(socket, link.index, true));
  TRY(net::PutAddress(socket, link.index, own));
  return net::PutNeighbour(socket, link.index, peer.bytes, peer_mac);
}

constexpr std::uint8_t kNetwork = 30;
constexpr std::uint8_t kHost = 32;

}  // namespace

policies::Address GateBesideStack() {
  return {.v6 = false, .bytes = {169, 254, 53, 1}};
}

Result<Fd> MakeGateLink(int container_netns) {
  Fd made;
  {
    // Comes back to this process's own at the end of the block.
    const Fd home = TRY(sys::Open(kOwn, O_RDONLY));
    const uplink::Visit visit = TRY(uplink::Visit::Begin(home.get()));
    TRY(sys::Unshare(CLONE_NEWNET, "network namespace of the gate"));
    made = TRY(sys::Open(kOwn, O_RDONLY));
    net::Socket socket = TRY(net::Socket::Open());
    TRY_IN("the link to the gate", net::MakeVeth(socket, {.name = kGateEnd, .mac = kGateMac},
                                                 {.name = kContainerEnd, .mac = kContainerMac}, container_netns));
    TRY_IN("the link to the gate", SetUp(kGateEnd, Address(1, kNetwork), Address(2, kHost), kContainerMac));
  }
  TRY_IN("the link to the gate", uplink::Inside(container_netns, [] {
           return SetUp(kContainerEnd, Address(2, kNetwork), Address(1, kHost), kGateMac);
         }));
  return made;
}

}  // namespace nucleus::egress
