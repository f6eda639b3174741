// A container's place on the bridge (uplink.h).

#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>

#include "oci-config/members.h"
#include "runtime/egress/uplink/bridge.h"
#include "runtime/egress/uplink/impl.h"
#include "runtime/egress/uplink/inside.h"
#include "runtime/egress/uplink/nat.h"
#include "runtime/egress/uplink/netns.h"
#include "runtime/egress/uplink/ports.h"
#include "runtime/egress/uplink/sysctl.h"
#include "runtime/net/neighbour.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::uplink {
namespace {

constexpr std::uint8_t kHostV4 = 32;
constexpr std::uint8_t kHostV6 = 128;

struct Place : Uplink::Impl {
  ~Place() override;
  Result<> Attach() override;

  Request request;
  std::string netns;
  Lease lease;
  Bridge bridge;
  bool v6 = false;
  bool done = false;
};

// The last one takes the bridge with it.
Result<> CloseIfLast(net::Socket& socket, const Leases& leases) {
  if (TRY(SweepLeases(socket, leases)).empty()) {
    return DeleteBridge(socket, leases);
  }
  return {};
}

std::uint32_t Random(std::uint32_t below) {
  std::uint32_t value = 0;
  (void)!::getrandom(&value, sizeof value, 0);
  return value % below;
}

Result<> RefuseTakenPorts(const std::vector<oci::PublishedPort>& ports, const std::vector<Lease>& others) {
  for (const oci::PublishedPort& port : ports) {
    for (const Lease& other : others) {
      if (std::ranges::any_of(other.publish,
                              [&port](const oci::PublishedPort& taken) { return oci::Overlap(port, taken); })) {
        return std::unexpected(Failure(
            "published port " + std::to_string(port.host_port) + " is another container's: " + ErrnoText(EADDRINUSE),
            EADDRINUSE));
      }
    }
  }
  return {};
}

// A number that nobody has, by a lease or by a link of that name, and the links in its name.
Result<Lease> Settle(net::Socket& socket, const Leases& leases, const std::vector<Lease>& others,
                     const Request& request) {
  const std::uint32_t last = request.last_number == 0 ? oci::kFirstMember - 1 : request.last_number;
  const std::uint32_t first = request.number == 0 ? kFirstNumber : request.number;
  const std::uint32_t numbers = request.number == 0 ? last - kFirstNumber + 1 : 1;
  const std::uint32_t start = Random(numbers);
  for (std::uint32_t i = 0; i < numbers; ++i) {
    const std::uint32_t number = first + (start + i) % numbers;
    if (std::ranges::any_of(others, [number](const Lease& other) { return other.number == number; })) {
      continue;
    }
    Lease lease = TRY(leases.Take(number, request.publish));
    Result<> made = net::MakeVeth(socket, {.name = PortName(number), .mac = OuterMacOf(number)},
                                  {.name = kContainerDevice, .mac = MacOf(number)}, request.container_netns);
    if (made) {
      made = [&]() -> Result<> {
        const net::Link link = TRY(net::FindLink(socket, PortName(number)));
        return net::SetAlias(socket, link.index, AliasOf(lease));
      }();
      if (made) {
        return lease;
      }
      if (const Result<net::Link> link = net::FindLink(socket, PortName(number))) {
        (void)net::DeleteLink(socket, link->index);
      }
    }
    TRY(leases.Drop(number));
    if (made.error().code != EEXIST) {
      return std::unexpected(Context("link of the container", made.error()));
    }
  }
  if (request.number != 0) {
    return std::unexpected(Failure(
        "number " + std::to_string(request.number) + " is another container's: " + ErrnoText(EADDRINUSE), EADDRINUSE));
  }
  return std::unexpected(Failure("the pool of addresses of containers is used up", ENOSPC));
}

Place::~Place() {
  if (done || lease.token.empty()) {
    return;
  }
  const Result<Leases> leases = Leases::Lock(request.run_dir, netns);
  Result<net::Socket> socket = net::Socket::Open();
  if (leases && socket) {
    (void)(Vacate(*socket, *leases, lease) && CloseIfLast(*socket, *leases));
  }
}

Result<> Place::Attach() {
  net::Socket socket = TRY(net::Socket::Open());
  const std::optional<net::Link> port = TRY(FindPort(socket, lease));
  if (!port) {
    return std::unexpected(Failure("the container's link is gone", ENODEV));
  }
  const net::Prefix v4_address = bridge.pool.V4(lease.number, kHostV4);
  const net::Prefix v6_address = Pool::V6(lease.number, kHostV6);
  Nat nat{.table = NatTable(lease.number),
          .inside = kBridgeName,
          .v4 = v4_address,
          .v6 = v6 ? std::optional{v6_address} : std::nullopt,
          .publish = request.publish,
          .members_v4 = {},
          .members_v6 = {}};
  for (const std::uint32_t member : request.members) {
    nat.members_v4.push_back(bridge.pool.V4(member, kHostV4).bytes);
    nat.members_v6.push_back(Pool::V6(member, kHostV6).bytes);
  }
  TRY_IN("nf_tables", LoadNat(nat));
  if (v6) {
    TRY(net::SetNoLinkLocal(socket, port->index));
  }
  TRY_IN("bridge port", net::SetLinkMaster(socket, port->index, static_cast<std::uint32_t>(bridge.index)));
  TRY(net::FixPort(socket, port->index, container_mac));
  // With br_netfilter a container that comes back to itself by a published port does so at the port.
  TRY(bridge.filtered ? net::SetPortHairpin(socket, port->index) : net::SetPortIsolated(socket, port->index));
  TRY(net::PutNeighbour(socket, bridge.index, v4_address.bytes, container_mac));
  if (v6) {
    TRY(net::PutNeighbour(socket, bridge.index, v6_address.bytes, container_mac));
  }
  TRY(net::SetLinkUp(socket, port->index, true));
  TRY(SetUpInside(request.container_netns, {.v4 = v4_address,
                                            .v4_gateway = bridge.pool.V4(kGatewayNumber, kHostV4),
                                            .v6 = v6 ? std::optional{v6_address} : std::nullopt,
                                            .v6_gateway = Pool::V6(kGatewayNumber, kHostV6),
                                            .gateway_mac = gateway_mac}));
  done = true;
  return {};
}

Result<bool> DecideIpv6(const Request& request) {
  const bool wanted = request.need_v6 || std::ranges::any_of(request.publish, [](const oci::PublishedPort& port) {
                        return port.host == oci::PublishedPort::Host::kV6;
                      });
  const bool there = HasIpv6();
  if (wanted && !there) {
    return std::unexpected(Failure("IPv6 is asked for, and this host has it switched off", EAFNOSUPPORT));
  }
  return there;
}

}  // namespace

Result<std::unique_ptr<Uplink::Impl>> Uplink::Impl::PrepareBridge(const Request& request) {
  auto place = std::make_unique<Place>();
  place->request = request;
  place->v6 = TRY(DecideIpv6(request));
  place->filter_netns = TRY(sys::Open("/proc/self/ns/net", O_RDONLY));
  place->netns = TRY(NetnsName(place->filter_netns.get()));
  TRY(CheckPublish(request.publish));
  TRY(RefuseDevice(request.container_netns));
  net::Socket socket = TRY(net::Socket::Open());
  const Leases leases = TRY(Leases::Lock(request.run_dir, place->netns));
  const std::vector<Lease> others = TRY(SweepLeases(socket, leases));
  const Result<> settled = [&]() -> Result<> {
    TRY(RefuseTakenPorts(request.publish, others));
    TRY(RefuseServedPorts(request.publish, place->v6));
    place->bridge = TRY(EnsureBridge(socket, leases, place->v6));
    place->lease = TRY(Settle(socket, leases, others, request));
    return {};
  }();
  if (!settled) {
    if (others.empty()) {
      (void)DeleteBridge(socket, leases);
    }
    return std::unexpected(settled.error());
  }
  const std::uint32_t number = place->lease.number;
  place->filter_device = PortName(number);
  place->container_mac = MacOf(number);
  place->gateway_mac = MacOf(kGatewayNumber);
  place->station.v4 = ToCidr(place->bridge.pool.V4(number, kHostV4));
  place->station.v4_gateway = ToAddress(place->bridge.pool.V4(kGatewayNumber, kHostV4));
  if (place->v6) {
    place->station.v6 = ToCidr(Pool::V6(number, kHostV6));
    place->station.v6_gateway = ToAddress(Pool::V6(kGatewayNumber, kHostV6));
  }
  place->record =
      std::string{kBridgeRecord} + " " + place->netns + " " + std::to_string(number) + " " + place->lease.token;
  return place;
}

Result<> RemoveBridge(const std::vector<std::string>& words, const std::string& run_dir) {
  constexpr std::size_t kWords = 4;
  if (words.size() != kWords) {
    return std::unexpected(Failure("not the record of an uplink", EINVAL));
  }
  // Of another network namespace than this one there is the lease to give back, and nothing else in reach: its links
  // have gone with the container, its table does when the number is used again.
  const bool here = words[1] == TRY(NetnsName());
  const Leases leases = TRY(Leases::Lock(run_dir, words[1]));
  std::optional<net::Socket> socket;
  if (here) {
    socket.emplace(TRY(net::Socket::Open()));
  }
  for (const Lease& lease : TRY(leases.List())) {
    if (std::to_string(lease.number) == words[2] && lease.token == words[3]) {
      TRY(socket ? Vacate(*socket, leases, lease) : leases.Drop(lease.number));
    }
  }
  // Without a lease as well: somebody may have been killed after that had gone.
  return socket ? CloseIfLast(*socket, leases) : Result<>{};
}

}  // namespace nucleus::uplink
