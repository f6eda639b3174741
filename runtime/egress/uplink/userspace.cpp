// A router namespace with pasta's tap device on one side and the container on the other, or pasta alone (uplink.h).

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>

#include "runtime/egress/uplink/impl.h"
#include "runtime/egress/uplink/inside.h"
#include "runtime/egress/uplink/nat.h"
#include "runtime/egress/uplink/netns.h"
#include "runtime/egress/uplink/pool.h"
#include "runtime/egress/uplink/ports.h"
#include "runtime/egress/uplink/sysctl.h"
#include "runtime/egress/uplink/worker.h"
#include "runtime/net/link.h"
#include "runtime/net/neighbour.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::uplink {
namespace {

constexpr const char* kTap = "tap0";
constexpr const char* kInner = "nuc0";  // the router's end of the pair
constexpr std::uint32_t kContainerNumber = kFirstNumber;
constexpr std::uint32_t kMtu = 65520;
constexpr std::uint8_t kHostV4 = 32;
constexpr std::uint8_t kHostV6 = 128;
// The tap device: a /24 at the end of the pool, and a /64 beside the containers'.
constexpr std::uint32_t kTapGatewayNumber = 0xff01;
constexpr std::uint32_t kTapNumber = 0xff02;
constexpr std::uint8_t kTapV4Length = 24;
constexpr std::uint8_t kTapV6Length = 64;
constexpr std::uint32_t kDirectV4Length = 16;

std::string TextOf(const net::Prefix& prefix) {
  const std::string text = Text(prefix);
  return text.substr(0, text.find('/'));
}

// The /64 after the one of containers.
net::Prefix TapV6(std::uint32_t number) {
  net::Prefix prefix = Pool::V6(number, kTapV6Length);
  constexpr std::size_t kSubnetByte = 7;
  ++prefix.bytes[kSubnetByte];
  return prefix;
}

struct Families {
  bool v4 = false;
  bool v6 = false;
};

// Those that the host has a way out for: pasta looks for nothing else.
Result<Families> FindFamilies(net::Socket& socket) {
  const auto leads_out = [](const net::Route& route) { return route.destination.length == 0; };
  Families families;
  families.v4 = std::ranges::any_of(TRY(net::ListRoutes(socket, false)), leads_out);
  families.v6 = HasIpv6() && std::ranges::any_of(TRY(net::ListRoutes(socket, true)), leads_out);
  return families;
}

std::string Range(std::uint32_t first, std::uint32_t count) {
  return count == 1 ? std::to_string(first) : std::to_string(first) + "-" + std::to_string(first + count - 1);
}

std::string HostOf(const oci::PublishedPort& port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (port.host == oci::PublishedPort::Host::kAny) {
    return "";
  }
  ::inet_ntop(port.host == oci::PublishedPort::Host::kV6 ? AF_INET6 : AF_INET, port.address.data(), text.data(),
              text.size());
  return std::string{text.data()} + "/";
}

struct Userspace : Uplink::Impl {
  ~Userspace() override;
  Result<> Attach() override;
  [[nodiscard]] int process() const override {
    return worker ? worker->pidfd() : -1;
  }
  [[nodiscard]] std::vector<std::string> Arguments() const;
  [[nodiscard]] std::vector<std::string> PastaArguments() const;
  Result<> StartProgram();
  Result<> SetUpRouter();
  Result<std::vector<oci::PublishedPort>> PublishedByRouter() const;

  Request request;
  Program program;
  Pool pool;
  Families families;
  std::optional<Worker> worker;
  bool done = false;
};

// The router's namespace goes some time after its last process; the container's link goes now.
Userspace::~Userspace() {
  if (done || !filter_netns) {
    return;
  }
  (void)Inside(filter_netns.get(), []() -> Result<> {
    net::Socket router = TRY(net::Socket::Open());
    const net::Link link = TRY(net::FindLink(router, kInner));
    return net::DeleteLink(router, link.index);
  });
}

// ---- pasta and slirp4netns

std::vector<std::string> Userspace::PastaArguments() const {
  std::vector<std::string> words = {"pasta", "--quiet", "--netns", Worker::kNetnsPath, "--config-net", "--mtu",
                                    std::to_string(kMtu),
                                    // The host's loopback is not to be had, nor a resolver of the host's, nor any port
                                    // that was not asked for; addresses come from here, not by DHCP.
                                    "--no-map-gw", "--dns", "none", "--search", "none", "--no-dhcp", "--no-dhcpv6",
                                    "--no-ra", "--tcp-ns", "none", "--udp-ns", "none"};
  const auto add = [&words](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  add({"--ns-ifname", request.direct ? kContainerDevice : kTap});
  if (families.v4) {
    const net::Prefix address = request.direct ? pool.V4(kContainerNumber, 0) : pool.V4(kTapNumber, 0);
    const net::Prefix gateway = request.direct ? pool.V4(kGatewayNumber, 0) : pool.V4(kTapGatewayNumber, 0);
    add({"--address", TextOf(address), "--netmask", std::to_string(request.direct ? kDirectV4Length : kTapV4Length),
         "--gateway", TextOf(gateway)});
  } else {
    add({"--ipv6-only"});
  }
  if (families.v6) {
    const net::Prefix address = request.direct ? Pool::V6(kContainerNumber, 0) : TapV6(kTapNumber);
    const net::Prefix gateway = request.direct ? Pool::V6(kGatewayNumber, 0) : TapV6(kTapGatewayNumber);
    add({"--address", TextOf(address), "--gateway", TextOf(gateway)});
  } else {
    add({"--ipv4-only"});
  }
  bool tcp = false;
  bool udp = false;
  for (const oci::PublishedPort& port : request.publish) {
    const bool is_udp = port.protocol == oci::PublishedPort::Protocol::kUdp;
    (is_udp ? udp : tcp) = true;
    std::string spec = HostOf(port) + Range(port.host_port, port.count);
    if (request.direct) {  // otherwise the router leads it to the container's port
      spec += ":" + Range(port.container_port, port.count);
    }
    add({is_udp ? "--udp-ports" : "--tcp-ports", spec});
  }
  if (!tcp) {
    add({"--tcp-ports", "none"});
  }
  if (!udp) {
    add({"--udp-ports", "none"});
  }
  return words;
}

std::vector<std::string> Userspace::Arguments() const {
  if (program.kind == Program::Kind::kPasta) {
    return PastaArguments();
  }
  const net::Prefix network = request.direct ? pool.V4(0, 0) : pool.V4(kTapGatewayNumber - 1, 0);
  return {"slirp4netns",
          "--configure",
          "--mtu=" + std::to_string(kMtu),
          "--disable-host-loopback",
          "--disable-dns",
          "--enable-seccomp",
          "--cidr=" + TextOf(network) + "/" + std::to_string(kTapV4Length),
          "--netns-type=path",
          "--ready-fd=" + std::to_string(Worker::kReadyFd),
          Worker::kNetnsPath,
          request.direct ? kContainerDevice : kTap};
}

Result<> Userspace::StartProgram() {
  const int netns = request.direct ? request.container_netns : worker->router();
  TRY_IN("network mode userspace", worker->Run(program, Arguments(), netns));
  // That it says that it is ready is not enough: of a port that it could not have it says nothing.
  TRY(ExpectServedPorts(request.publish, families.v6));
  if (!request.direct) {  // an ordinary caller may not look
    const Result<> found = Inside(netns, []() -> Result<> {
      net::Socket socket = TRY(net::Socket::Open());
      TRY(net::FindLink(socket, kTap));
      return {};
    });
    TRY_IN("network mode userspace: the tap device", Result<>{found});
  }
  return {};
}

// ---- the router

// What arrives in the router has lost the address of the host that it came to.
Result<std::vector<oci::PublishedPort>> Userspace::PublishedByRouter() const {
  std::vector<oci::PublishedPort> ports;
  for (oci::PublishedPort port : request.publish) {
    port.address = {};
    const auto same =
        std::ranges::find_if(ports, [&port](const oci::PublishedPort& earlier) { return oci::Overlap(earlier, port); });
    if (same == ports.end()) {
      ports.push_back(port);
    } else if (same->host_port != port.host_port || same->count != port.count ||
               same->container_port != port.container_port) {
      return std::unexpected(Failure("published port " + std::to_string(port.host_port) +
                                         ": with network mode userspace the same port of two addresses of the host "
                                         "leads to one port of the container",
                                     ENOTSUP));
    }
  }
  return ports;
}

// The tap device is pasta's to make. Its link-local address is good at once: pasta sends to addresses that it has seen,
// and the kernel takes nothing for one that it still asks others about.
Result<> PrepareRouter(int router) {
  return Inside(router, []() -> Result<> {
    if (GetSysctl("ipv6/conf/default/accept_dad")) {
      TRY(SetSysctl("ipv6/conf/default/accept_dad", "0"));
      TRY(SetSysctl("ipv6/conf/default/accept_ra", "0"));
    }
    return {};
  });
}

// A neighbour solicitation (RFC 4861, section 4.3) from the tap device's address to pasta, which takes the source of
// what it sees last for the one to send to: that might be the unspecified address, of the kernel's multicast reports.
Result<> ShowAddress() {
  const auto address = [](const net::Prefix& prefix) {
    sockaddr_in6 result{};
    result.sin6_family = AF_INET6;
    std::memcpy(&result.sin6_addr, prefix.bytes.data(), sizeof result.sin6_addr);
    return result;
  };
  struct {
    std::uint8_t type = 135;
    std::uint8_t code = 0;
    std::uint16_t checksum = 0;  // the kernel's to fill in
    std::uint32_t reserved = 0;
    in6_addr target{};
  } solicitation;
  const sockaddr_in6 from = address(TapV6(kTapNumber));
  const sockaddr_in6 to = address(TapV6(kTapGatewayNumber));
  solicitation.target = to.sin6_addr;
  constexpr int kHops = 255;
  const Fd socket{::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6)};
  if (!socket || ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, &kHops, sizeof kHops) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0 ||
      ::sendto(socket.get(), &solicitation, sizeof solicitation, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) <
          0) {
    return std::unexpected(SysError("neighbour solicitation", kTap));
  }
  return {};
}

Result<> Userspace::SetUpRouter() {
  const net::Prefix v4 = pool.V4(kContainerNumber, kHostV4);
  const net::Prefix v4_gateway = pool.V4(kGatewayNumber, kHostV4);
  const std::optional<net::Prefix> v6 = families.v6 ? std::optional{Pool::V6(kContainerNumber, kHostV6)} : std::nullopt;
  const net::Prefix v6_gateway = Pool::V6(kGatewayNumber, kHostV6);
  const Result<> routed = Inside(worker->router(), [&]() -> Result<> {
    TRY_IN("nf_tables",
           LoadGate({.table = "nucleus-nat", .inside = kInner, .close_v4 = true, .close_v6 = v6.has_value()}));
    const std::vector<oci::PublishedPort> publish = TRY(PublishedByRouter());
    TRY_IN("nf_tables", LoadNat({.table = "nucleus-nat-" + std::to_string(kContainerNumber),
                                 .inside = kInner,
                                 .v4 = v4,
                                 .v6 = v6,
                                 .publish = publish}));
    TRY(SetSysctl("ipv4/conf/" + std::string{kInner} + "/route_localnet", "1"));
    TRY(SetSysctl("ipv4/ip_forward", "1"));
    if (v6) {
      TRY(SetSysctl("ipv6/conf/" + std::string{kInner} + "/disable_ipv6", "0"));
      TRY(SetSysctl("ipv6/conf/all/forwarding", "1"));
      TRY(ShowAddress());
    }
    net::Socket socket = TRY(net::Socket::Open());
    const net::Link link = TRY(net::FindLink(socket, kInner));
    if (v6) {
      TRY(net::SetNoLinkLocal(socket, link.index));
    }
    TRY(net::SetLinkUp(socket, link.index, true));
    TRY(net::PutAddress(socket, link.index, v4_gateway));
    TRY(net::PutNeighbour(socket, link.index, v4.bytes, container_mac));
    TRY(net::PutRoute(socket, link.index, v4, ""));
    if (v6) {
      TRY(net::PutAddress(socket, link.index, v6_gateway));
      TRY(net::PutNeighbour(socket, link.index, v6->bytes, container_mac));
      TRY(net::PutRoute(socket, link.index, *v6, ""));
    }
    return {};
  });
  TRY(Result<>{routed});
  return SetUpInside(
      request.container_netns,
      {.v4 = v4, .v4_gateway = v4_gateway, .v6 = v6, .v6_gateway = v6_gateway, .gateway_mac = gateway_mac});
}

Result<> Userspace::Attach() {
  TRY(StartProgram());
  if (!request.direct) {
    TRY(SetUpRouter());
  }
  worker->LetGo();
  done = true;
  return {};
}

// ---- before

Result<> CheckRequest(const Userspace& userspace) {
  const Request& request = userspace.request;
  const bool wants_v6 = request.need_v6 || std::ranges::any_of(request.publish, [](const oci::PublishedPort& port) {
                          return port.host == oci::PublishedPort::Host::kV6;
                        });
  if (!userspace.families.v4 && !userspace.families.v6) {
    return std::unexpected(
        Failure("network mode userspace takes a default route of the host, and there is none", ENETUNREACH));
  }
  if (userspace.program.kind == Program::Kind::kSlirp && !request.publish.empty()) {
    return std::unexpected(Failure(
        "published ports in network mode userspace take pasta, which is not installed: install the package passt",
        ENOENT));
  }
  if (wants_v6 && !userspace.families.v6) {
    return std::unexpected(Failure(
        "IPv6 is asked for, and this host has no default route of it for network mode userspace", EAFNOSUPPORT));
  }
  if (request.direct && request.container_userns < 0) {
    return std::unexpected(Failure("network mode userspace: the container has no user namespace", EINVAL));
  }
  TRY(CheckPublish(request.publish));
  TRY(RefuseServedPorts(request.publish, userspace.families.v6));
  if (!request.direct) {
    TRY(RefuseDevice(request.container_netns));
    TRY(userspace.PublishedByRouter());
  }
  return {};
}

void Describe(Userspace& userspace) {
  const bool direct = userspace.request.direct;
  const std::uint8_t v4_length = direct ? kDirectV4Length : kHostV4;
  const std::uint8_t v6_length = direct ? kTapV6Length : kHostV6;
  Station& station = userspace.station;
  if (userspace.program.kind == Program::Kind::kSlirp && direct) {
    // slirp4netns has its own places in the network: .100 and .2.
    constexpr std::uint32_t kSlirpNumber = 100;
    station.v4 = ToCidr(userspace.pool.V4(kSlirpNumber, kTapV4Length));
    station.v4_gateway = ToAddress(userspace.pool.V4(2, 0));
    return;
  }
  station.v4 = ToCidr(userspace.pool.V4(kContainerNumber, v4_length));
  station.v4_gateway = ToAddress(userspace.pool.V4(kGatewayNumber, v4_length));
  if (userspace.families.v6) {
    station.v6 = ToCidr(Pool::V6(kContainerNumber, v6_length));
    station.v6_gateway = ToAddress(Pool::V6(kGatewayNumber, v6_length));
  }
}

}  // namespace

Result<std::unique_ptr<Uplink::Impl>> Uplink::Impl::PrepareUserspace(const Request& request) {
  auto userspace = std::make_unique<Userspace>();
  userspace->request = request;
  // pasta has what comes to ::1 go to ::1 of the namespace, where it leads no further; a client that tries it first has
  // to find that out at once.
  for (oci::PublishedPort& port : userspace->request.publish) {
    if (port.host == oci::PublishedPort::Host::kAny) {
      port.host = oci::PublishedPort::Host::kV4;
      port.address = {};
    }
  }
  userspace->program = TRY(FindProgram());
  net::Socket host = TRY(net::Socket::Open());
  userspace->families = TRY(FindFamilies(host));
  if (userspace->program.kind == Program::Kind::kSlirp) {
    userspace->families.v6 = false;
  }
  TRY(CheckRequest(*userspace));
  userspace->pool = TRY(ChoosePool(host, 0, userspace->families.v6));
  userspace->worker.emplace(
      TRY(request.direct ? Worker::StartIn(request.container_userns) : Worker::StartWithRouter()));
  const Worker& worker = *userspace->worker;
  if (!request.direct) {
    userspace->container_mac = MacOf(kContainerNumber);
    userspace->gateway_mac = MacOf(kGatewayNumber);
    userspace->filter_netns = TRY(sys::Duplicate(worker.router()));
    userspace->filter_device = kInner;
    TRY_IN("settings of the router", PrepareRouter(worker.router()));
    const Result<> made = Inside(worker.router(), [&]() -> Result<> {
      net::Socket router = TRY(net::Socket::Open());
      return net::MakeVeth(router, {.name = kInner, .mac = userspace->gateway_mac, .mtu = kMtu},
                           {.name = kContainerDevice, .mac = userspace->container_mac, .mtu = kMtu},
                           request.container_netns);
    });
    TRY_IN("link of the container", Result<>{made});
  }
  Describe(*userspace);
  userspace->record =
      std::string{kUserspaceRecord} + " " + std::to_string(worker.pid()) + " " + std::to_string(worker.start_time());
  return userspace;
}

Result<> RemoveUserspace(const std::vector<std::string>& words) {
  pid_t pid = 0;
  std::uint64_t start = 0;
  const auto read = [](const std::string& word, auto& number) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc{} && end == word.data() + word.size();
  };
  constexpr std::size_t kWords = 3;
  if (words.size() != kWords || !read(words[1], pid) || !read(words[2], start) || pid <= 0) {
    return std::unexpected(Failure("not the record of an uplink", EINVAL));
  }
  const Result<Fd> pidfd = sys::PidfdOpen(pid);
  const Result<sys::ProcessStat> stat = sys::ReadProcessStat(pid);
  if (!pidfd || !stat || stat->start_time != start || stat->dead()) {
    return {};
  }
  const Result<> killed = sys::PidfdSendSignal(pidfd->get(), SIGKILL);
  if (!killed && killed.error().code != ESRCH) {
    return killed;
  }
  constexpr int kTimeoutMs = 10000;
  if (!TRY(sys::PidfdWait(pidfd->get(), kTimeoutMs))) {
    return std::unexpected(Failure("pasta does not end", ETIMEDOUT));
  }
  return {};
}

}  // namespace nucleus::uplink
