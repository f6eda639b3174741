#include "runtime/container/broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/net/request.h"

namespace nucleus::container {
namespace {

std::string Endpoint(const policies::EgressPolicy::Broker& broker) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(broker.address.v6 ? AF_INET6 : AF_INET, broker.address.bytes.data(), text.data(), text.size());
  const std::string address{text.data()};
  return (broker.address.v6 ? "[" + address + "]" : address) + ":" + std::to_string(broker.port);
}

}  // namespace

Result<std::string> NewBrokerToken() {
  std::array<unsigned char, 16> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return std::unexpected(SysError("getrandom", ""));
  }
  std::string token;
  for (const unsigned char byte : random) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    token += kDigits[byte >> 4];
    token += kDigits[byte & 15];
  }
  return token;
}

void AddBrokerVariables(const policies::EgressPolicy::Broker& broker, const std::string& token,
                        std::vector<std::string>& environment) {
  if (!broker.environment) {
    return;
  }
  const std::string proxy = "http://nucleus:" + token + "@" + Endpoint(broker);
  const std::string local = "localhost,127.0.0.1,::1";
  const auto add = [&environment](const std::string& name, const std::string& value) {
    const bool there =
        std::ranges::any_of(environment, [&](const std::string& entry) { return entry.starts_with(name + "="); });
    if (!there) {
      environment.push_back(name + "=" + value);
    }
  };
  for (const char* name : {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"}) {
    add(name, proxy);
  }
  add("NO_PROXY", local);
  add("no_proxy", local);
}

Result<> ReachBroker(const policies::EgressPolicy::Broker& broker) {
  constexpr int kPatienceMs = 5000;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(broker.port);
  std::memcpy(&v4.sin_addr, broker.address.bytes.data(), sizeof v4.sin_addr);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(broker.port);
  std::memcpy(&v6.sin6_addr, broker.address.bytes.data(), sizeof v6.sin6_addr);
  const Fd socket{::socket(broker.address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", "egress broker"));
  }
  const auto* address =
      broker.address.v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  int error = ::connect(socket.get(), address, broker.address.v6 ? sizeof v6 : sizeof v4) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd polled{.fd = socket.get(), .events = POLLOUT, .revents = 0};
    socklen_t size = sizeof error;
    if (::poll(&polled, 1, kPatienceMs) != 1) {
      error = ETIMEDOUT;
    } else if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  return error == 0 ? Result<>{} : std::unexpected(SysError("connect to the egress broker", Endpoint(broker), error));
}

Result<> WriteNetworkFiles(const StateDir& directory, const plan::Plan& plan, const std::string& token) {
  if (!token.empty()) {
    TRY(directory.WriteFile(net::kBrokerToken, token));
  }
  if (!plan.network->names) {
    return {};
  }
  TRY(directory.WriteFile(net::kResolvConf, "nameserver 127.0.0.53\noptions edns0 timeout:3\n"));
  // For every user of the container; the directory is the runtime's alone.
  if (::fchmodat(directory.fd(), net::kResolvConf, 0644, 0) != 0) {
    return std::unexpected(SysError("chmod", net::kResolvConf));
  }
  return {};
}

}  // namespace nucleus::container
