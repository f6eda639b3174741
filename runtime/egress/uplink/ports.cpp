#include "runtime/egress/uplink/ports.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "base/fd.h"

namespace nucleus::uplink {
namespace {

Result<> TryPort(const oci::PublishedPort& port, bool v6, std::uint32_t number) {
  const int type = port.protocol == oci::PublishedPort::Protocol::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  const Fd socket{::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", ""));
  }
  const int on = 1;
  if (type == SOCK_STREAM) {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_in);
  if (v6) {
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(static_cast<std::uint16_t>(number));
    std::memcpy(&address.sin6_addr, port.address.data(), sizeof address.sin6_addr);
    std::memcpy(&storage, &address, sizeof address);
    size = sizeof address;
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(number));
    std::memcpy(&address.sin_addr, port.address.data(), sizeof address.sin_addr);
    std::memcpy(&storage, &address, sizeof address);
  }
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
    return std::unexpected(SysError("published port", std::to_string(number)));
  }
  return {};
}

using Check = Result<> (*)(const oci::PublishedPort& port, bool v6, std::uint32_t number);

Result<> ExpectServed(const oci::PublishedPort& port, bool v6, std::uint32_t number) {
  const Result<> free = TryPort(port, v6, number);
  if (free || free.error().code != EADDRINUSE) {
    return std::unexpected(Failure("published port " + std::to_string(number) +
                                       ": pasta could not have it (below net.ipv4.ip_unprivileged_port_start it takes "
                                       "network mode bridge)",
                                   EACCES));
  }
  return {};
}

Result<> ForAll(const std::vector<oci::PublishedPort>& ports, bool v6, Check check) {
  for (const oci::PublishedPort& port : ports) {
    for (std::uint32_t i = 0; i < port.count; ++i) {
      if (port.host != oci::PublishedPort::Host::kV6) {
        TRY(check(port, false, port.host_port + i));
      }
      if (port.host == oci::PublishedPort::Host::kV6 || (v6 && port.host == oci::PublishedPort::Host::kAny)) {
        TRY(check(port, true, port.host_port + i));
      }
    }
  }
  return {};
}

}  // namespace

Result<> RefuseServedPorts(const std::vector<oci::PublishedPort>& ports, bool v6) {
  return ForAll(ports, v6, TryPort);
}

Result<> ExpectServedPorts(const std::vector<oci::PublishedPort>& ports, bool v6) {
  return ForAll(ports, v6, ExpectServed);
}

}  // namespace nucleus::uplink
