// The bridge of a host, its containers' places on it, and what goes with the last one (uplink.h, docs/network.md).
#include "runtime/egress/uplink/bridge.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "runtime/egress/uplink/nat.h"
#include "runtime/egress/uplink/sysctl.h"
#include "runtime/net/link.h"
#include "runtime/net/neighbour.h"

namespace nucleus::uplink {
namespace {

constexpr std::uint8_t kV4Length = 16;
constexpr std::uint8_t kV6Length = 64;
constexpr const char* kForwardV4 = "ipv4/ip_forward";
constexpr const char* kForwardV6 = "ipv6/conf/all/forwarding";
constexpr const char* kForwarding = "forwarding";  // a file: what was switched on for the bridge

std::string Conf(const char* family, const char* key) {
  return std::string{family} + "/conf/" + kBridgeName + "/" + key;
}

// A setting that a kernel may not have.
Result<> SetIfThere(const std::string& name, const std::string& value) {
  const Result<> set = SetSysctl(name, value);
  return !set && set.error().code == ENOENT ? Result<>{} : set;
}

// Forwarding of one family: is it on for the sake of the bridge alone?
Result<bool> IsOurs(const std::string& noted, const std::string& sysctl) {
  return noted.find(sysctl + "\n") != std::string::npos || TRY(GetSysctl(sysctl)) == "0";
}

// What is switched on is written down before, and is off again with the last container.
Result<> SwitchOn(const Leases& leases, std::string& noted, const std::string& sysctl) {
  if (TRY(GetSysctl(sysctl)) != "0") {
    return {};
  }
  if (noted.find(sysctl + "\n") == std::string::npos) {
    noted += sysctl + "\n";
    TRY(leases.Write(kForwarding, noted));
  }
  return SetSysctl(sysctl, "1");
}

// A link that has its default route from router advertisements would lose it once it forwards.
Result<> KeepRouterAdvertisements(net::Socket& socket) {
  for (const net::Route& route : TRY(net::ListRoutes(socket, true))) {
    if (route.destination.length != 0 || route.index == 0) {
      continue;
    }
    const Result<net::Link> link = net::LinkAt(socket, route.index);
    const std::string name = link ? "ipv6/conf/" + link->name + "/accept_ra" : "";
    if (link && GetSysctl(name).value_or("") == "1") {
      TRY(SetSysctl(name, "2"));
    }
  }
  return {};
}

Result<> SetSettings(bool v6) {
  // Answers of a container to a loopback address of the host; LoadGate drops what a container sends there by itself.
  TRY(SetSysctl(Conf("ipv4", "route_localnet"), "1"));
  TRY(SetIfThere(Conf("ipv4", "accept_redirects"), "0"));
  TRY(SetIfThere(Conf("ipv4", "send_redirects"), "0"));
  if (v6) {
    TRY(SetSysctl(Conf("ipv6", "disable_ipv6"), "0"));
    TRY(SetSysctl(Conf("ipv6", "accept_ra"), "0"));
    TRY(SetIfThere(Conf("ipv6", "accept_redirects"), "0"));
  }
  return {};
}

// The gate stands before anything is forwarded, and is closed for others before they could be.
Result<> Forward(const Leases& leases, net::Socket& socket, bool v6) {
  std::string noted = leases.Read(kForwarding).value_or("");
  Gate gate{.table = kGateTable, .inside = kBridgeName};
  gate.close_v4 = TRY(IsOurs(noted, kForwardV4));
  gate.close_v6 = v6 && TRY(IsOurs(noted, kForwardV6));
  TRY_IN("nf_tables", LoadGate(gate));
  TRY_IN("forwarding", SwitchOn(leases, noted, kForwardV4));
  if (v6) {
    TRY(KeepRouterAdvertisements(socket));
    TRY_IN("forwarding", SwitchOn(leases, noted, kForwardV6));
  }
  return {};
}

Result<net::Link> FindOrMake(net::Socket& socket) {
  Result<net::Link> found = net::FindLink(socket, kBridgeName);
  if (!found && found.error().code == ENODEV) {
    TRY_IN("bridge " + std::string{kBridgeName}, net::MakeBridge(socket, kBridgeName, MacOf(kGatewayNumber)));
    found = net::FindLink(socket, kBridgeName);
  }
  net::Link link = TRY(std::move(found));
  const net::Mac mac = MacOf(kGatewayNumber);
  if (link.kind != "bridge" || link.address != std::string{mac.begin(), mac.end()}) {
    return std::unexpected(
        Failure("the link " + std::string{kBridgeName} + " of this host is not one that nucleus has made", EEXIST));
  }
  return link;
}

// Of a bridge that has its address already; the first free one else.
Result<Pool> PoolOfBridge(net::Socket& socket, const net::Link& link, bool v6) {
  for (const net::Address& address : TRY(net::ListAddresses(socket, link.index))) {
    if (address.header.ifa_family == AF_INET) {
      if (const std::optional<Pool> pool = PoolOf(net::FindAttribute(address.attributes, IFA_LOCAL).value_or(""))) {
        return *pool;
      }
    }
  }
  return ChoosePool(socket, link.index, v6);
}

}  // namespace

Result<Bridge> EnsureBridge(net::Socket& socket, const Leases& leases, bool v6) {
  const net::Link link = TRY(FindOrMake(socket));
  const Pool pool = TRY(PoolOfBridge(socket, link, v6));
  if (v6) {
    TRY(net::SetNoLinkLocal(socket, link.index));
  }
  TRY_IN("bridge settings", SetSettings(v6));
  TRY(net::SetLinkUp(socket, link.index, true));
  TRY(net::PutAddress(socket, link.index, pool.V4(kGatewayNumber, kV4Length)));
  if (v6) {
    TRY(net::PutAddress(socket, link.index, Pool::V6(kGatewayNumber, kV6Length)));
  }
  const bool filtered = GetSysctl("bridge/bridge-nf-call-iptables").has_value();
  if (filtered) {
    TRY_IN("nf_tables", LoadPorts(kGateTable, kPortPrefix));
  }
  TRY(Forward(leases, socket, v6));
  return Bridge{.index = link.index, .pool = pool, .filtered = filtered};
}

namespace {

// Of somebody whose leases are in another directory.
Result<bool> HasPorts(net::Socket& socket, std::int32_t bridge) {
  ifinfomsg everything{};
  constexpr std::size_t kMaxLinks = 65536;
  for (const std::string& answer : TRY(socket.List({RTM_GETLINK, NLM_F_DUMP, everything}, kMaxLinks))) {
    ifinfomsg header{};
    const std::optional<std::string_view> attributes = net::TakeHeader(answer, header);
    if (attributes && net::NumberAttribute(*attributes, IFLA_MASTER) == static_cast<std::uint32_t>(bridge)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<> DeleteBridge(net::Socket& socket, const Leases& leases) {
  const Result<net::Link> link = net::FindLink(socket, kBridgeName);
  const net::Mac mac = MacOf(kGatewayNumber);
  const bool ours = link && link->kind == "bridge" && link->address == std::string{mac.begin(), mac.end()};
  if (ours && TRY(HasPorts(socket, link->index))) {
    return {};
  }
  if (const Result<std::string> noted = leases.Read(kForwarding)) {
    for (std::size_t start = 0; start < noted->size();) {
      const std::size_t end = std::min(noted->find('\n', start), noted->size());
      const std::string name = noted->substr(start, end - start);
      if (name == kForwardV4 || name == kForwardV6) {
        TRY(SetIfThere(name, "0"));
      }
      start = end + 1;
    }
    TRY(leases.Delete(kForwarding));
  }
  if (ours) {
    TRY(net::DeleteLink(socket, link->index));
  }
  TRY(DeletePorts(kGateTable));
  return DeleteTable(kGateTable);
}

// ---- one container's place

std::string PortName(std::uint32_t number) {
  return kPortPrefix + std::to_string(number);
}

std::string NatTable(std::uint32_t number) {
  return std::string{kGateTable} + "-" + std::to_string(number);
}

std::string AliasOf(const Lease& lease) {
  return "nucleus " + lease.token;
}

Result<std::optional<net::Link>> FindPort(net::Socket& socket, const Lease& lease) {
  Result<net::Link> link = net::FindLink(socket, PortName(lease.number));
  if (!link) {
    return link.error().code == ENODEV ? Result<std::optional<net::Link>>{std::nullopt}
                                       : std::unexpected(std::move(link).error());
  }
  const Result<std::string> alias = net::GetAlias(socket, link->index);
  if (!alias || lease.token.empty() || *alias != AliasOf(lease)) {
    return std::optional<net::Link>{};
  }
  return std::optional<net::Link>{*std::move(link)};
}

Result<> Vacate(net::Socket& socket, const Leases& leases, const Lease& lease) {
  if (const Result<net::Link> port = net::FindLink(socket, PortName(lease.number))) {
    const std::string alias = net::GetAlias(socket, port->index).value_or("");
    const net::Mac mac = OuterMacOf(lease.number);
    // Without a name: of a process that was killed in between.
    if (alias == AliasOf(lease) || (alias.empty() && port->address == std::string{mac.begin(), mac.end()})) {
      const Result<> deleted = net::DeleteLink(socket, port->index);
      if (!deleted && deleted.error().code != ENODEV) {  // it goes with the other end at any time
        return deleted;
      }
    }
  }
  TRY(DeleteTable(NatTable(lease.number)));
  if (const Result<net::Link> bridge = net::FindLink(socket, kBridgeName)) {
    for (const net::Address& address : TRY(net::ListAddresses(socket, bridge->index))) {
      const std::string_view local = net::FindAttribute(address.attributes, IFA_LOCAL)
                                         .value_or(net::FindAttribute(address.attributes, IFA_ADDRESS).value_or(""));
      if (const std::optional<Pool> pool = PoolOf(local)) {
        TRY(net::DeleteNeighbour(socket, bridge->index, pool->V4(lease.number, 0).bytes));
      }
    }
    if (HasIpv6()) {
      TRY(net::DeleteNeighbour(socket, bridge->index, Pool::V6(lease.number, 0).bytes));
    }
  }
  return leases.Drop(lease.number);
}

Result<std::vector<Lease>> SweepLeases(net::Socket& socket, const Leases& leases) {
  std::vector<Lease> alive;
  for (Lease& lease : TRY(leases.List())) {
    if (TRY(FindPort(socket, lease))) {
      alive.push_back(std::move(lease));
    } else {
      TRY(Vacate(socket, leases, lease));
    }
  }
  return alive;
}

}  // namespace nucleus::uplink
