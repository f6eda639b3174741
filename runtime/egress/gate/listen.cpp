// Source: ip(7) (IP_FREEBIND), network_namespaces(7).

#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstring>

#include "runtime/egress/gate/address.h"
#include "runtime/egress/gate/gate.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gate {
namespace {

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78  // linux/in6.h, which does not go with netinet/in.h
#endif

constexpr std::uint16_t kPort = 53;
constexpr int kBacklog = 64;

Result<Fd> Bind(const policies::Address& address, int type) {
  const std::string name = AddressText(address) + " port 53";
  Fd socket{::socket(address.v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", name));
  }
  const int on = 1;
  // The address may be of an interface that is not there yet.
  if (::setsockopt(socket.get(), address.v6 ? IPPROTO_IPV6 : IPPROTO_IP, address.v6 ? IPV6_FREEBIND : IP_FREEBIND, &on,
                   sizeof on) != 0) {
    return std::unexpected(SysError("setsockopt", name));
  }
  // Connections that wait for their last segments do not keep TCP's address. Of UDP a second one could take the
  // queries.
  if (type == SOCK_STREAM && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return std::unexpected(SysError("setsockopt", name));
  }
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(kPort);
  std::memcpy(&v4.sin_addr, address.bytes.data(), sizeof v4.sin_addr);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(kPort);
  std::memcpy(&v6.sin6_addr, address.bytes.data(), sizeof v6.sin6_addr);
  const auto* bound = address.v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  if (::bind(socket.get(), bound, address.v6 ? sizeof v6 : sizeof v4) != 0) {
    return std::unexpected(SysError("bind", name));
  }
  if (type == SOCK_STREAM && ::listen(socket.get(), kBacklog) != 0) {
    return std::unexpected(SysError("listen", name));
  }
  return socket;
}

Result<Sockets> BindBoth(const policies::Address& address) {
  Sockets sockets;
  sockets.udp = TRY(Bind(address, SOCK_DGRAM));
  sockets.tcp = TRY(Bind(address, SOCK_STREAM));
  return sockets;
}

}  // namespace

Result<Sockets> ListenIn(int netns) {
  return ListenIn(netns, {.v6 = false, .bytes = {127, 0, 0, 53}});
}

Result<Sockets> ListenIn(int netns, const policies::Address& address) {
  const Fd home = TRY(sys::Open("/proc/self/ns/net", 0));
  TRY(sys::SetNs(netns, CLONE_NEWNET, "network namespace"));
  Result<Sockets> sockets = BindBoth(address);
  if (const Result<> back = sys::SetNs(home.get(), CLONE_NEWNET, "network namespace"); !back) {
    return std::unexpected(back.error());
  }
  return sockets;
}

}  // namespace nucleus::gate
