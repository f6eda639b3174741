// For tests of uplinks: a host, the world outside of it, and containers, as network namespaces of one process, and
// connections between them. Nothing of the machine's own network is touched, and all of it goes with the process.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>

#include "runtime/egress/nft/socket.h"
#include "runtime/egress/uplink/netns.h"
#include "runtime/egress/uplink/sysctl.h"
#include "runtime/egress/uplink/uplink.h"
#include "runtime/net/link.h"
#include "runtime/net/loopback.h"
#include "runtime/net/new_link.h"
#include "runtime/net/route.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::uplink::test {

// What went wrong in this process, line by line.
inline std::string& Failures() {
  static std::string failures;
  return failures;
}
inline void Expect(bool right, const std::string& what) {
  if (!right) {
    Failures() += what + "\n";
  }
}
inline void Same(const std::string& got, const std::string& wanted, const std::string& what) {
  Expect(got == wanted, what + ": \"" + got + "\", not \"" + wanted + "\"");
}
template <class T>
T Must(Result<T> result, const char* what) {
  if (!result) {
    Failures() += std::string{what} + ": " + result.error().message + "\n";
    throw std::runtime_error{what};
  }
  if constexpr (!std::is_void_v<T>) {
    return *std::move(result);
  }
}

// In a process of its own, whose network namespace is a new one: the host's. "" or what failed.
inline std::string OnHost(const std::function<void()>& test) {
  int pipe[2];
  BOOST_REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    if (::unshare(CLONE_NEWNET) != 0) {
      Failures() = "unshare\n";
    } else {
      try {
        Must(net::SetLoopbackUp(), "lo");
        test();
      } catch (const std::exception& error) {
        Failures() += std::string{"given up: "} + error.what() + "\n";
      }
    }
    (void)!::write(pipe[1], Failures().data(), Failures().size());
    ::_exit(0);
  }
  ::close(pipe[1]);
  std::string result;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(pipe[0], buffer, sizeof buffer)) > 0;) {
    result.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? result : result + "ended by " + std::to_string(status);
}

// A new network namespace with its loopback up.
inline Fd NewNetns() {
  const Fd home = Must(sys::Open("/proc/self/ns/net", O_RDONLY), "own namespace");
  if (::unshare(CLONE_NEWNET) != 0) {
    throw std::runtime_error{"unshare"};
  }
  Must(net::SetLoopbackUp(), "lo");
  Fd made = Must(sys::Open("/proc/self/ns/net", O_RDONLY), "namespace");
  Must(sys::SetNs(home.get(), CLONE_NEWNET, "home"), "home");
  return made;
}

inline std::string Bytes(const char* address) {
  char bytes[16];
  if (::inet_pton(AF_INET, address, bytes) == 1) {
    return {bytes, 4};
  }
  if (::inet_pton(AF_INET6, address, bytes) == 1) {
    return {bytes, 16};
  }
  throw std::runtime_error{address};
}
inline std::string TextOf(const policies::Address& address) {
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
  return text;
}

// The world: 198.51.100.2 and 2001:db8::2, and the host's way there.
inline Fd NewOutside() {
  Fd outside = NewNetns();
  net::Socket host = Must(net::Socket::Open(), "netlink");
  Must(net::MakeVeth(host, {.name = "up0", .mac = {2, 0, 0, 0, 0, 1}}, {.name = "world0", .mac = {2, 0, 0, 0, 0, 2}},
                     outside.get()),
       "veth");
  const auto set_up = [](net::Socket& socket, const char* name, const char* v4, const char* v6) {
    const net::Link link = Must(net::FindLink(socket, name), name);
    Must(net::SetLinkUp(socket, link.index, true), "up");
    Must(net::PutAddress(socket, link.index, {.bytes = Bytes(v4), .length = 24}), v4);
    Must(net::PutAddress(socket, link.index, {.bytes = Bytes(v6), .length = 64}), v6);
    return link.index;
  };
  net::Socket world = Must(net::Socket::OpenIn(outside.get()), "netlink");
  set_up(world, "world0", "198.51.100.2", "2001:db8::2");
  const std::int32_t index = set_up(host, "up0", "198.51.100.1", "2001:db8::1");
  Must(net::PutRoute(host, index, {.bytes = std::string(4, '\0'), .length = 0}, Bytes("198.51.100.2")), "route");
  Must(net::PutRoute(host, index, {.bytes = std::string(16, '\0'), .length = 0}, Bytes("2001:db8::2")), "route");
  return outside;
}

// ---- connections

struct Socketed {
  sockaddr_storage address{};
  socklen_t size = 0;
};
inline Socketed At(const std::string& address, int port) {
  Socketed result;
  const std::string bytes = Bytes(address.c_str());
  if (bytes.size() == 4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&result.address, &in, sizeof in);
    result.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&in.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&result.address, &in, sizeof in);
    result.size = sizeof in;
  }
  return result;
}
inline std::string HostOf(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text, sizeof text);
  }
  return text;
}

// A socket of the namespace (-1: this one).
inline Fd SocketIn(int netns, bool v6, int type) {
  std::optional<Visit> visit;
  if (netns >= 0) {
    visit.emplace(Must(Visit::Begin(netns), "visit"));
  }
  return Fd{::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0)};
}

inline Fd Serve(int netns, const std::string& address, int port, int type = SOCK_STREAM) {
  const Socketed at = At(address, port);
  Fd socket = SocketIn(netns, at.address.ss_family == AF_INET6, type);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at.address), at.size) != 0 ||
      (type == SOCK_STREAM && ::listen(socket.get(), 8) != 0)) {
    throw std::runtime_error{"serve " + address + " " + std::to_string(port) + ": " + std::strerror(errno)};
  }
  return socket;
}

inline constexpr int kPatienceMs = 3000;
inline bool Wait(int fd, short events, int ms = kPatienceMs) {
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  return ::poll(&entry, 1, ms) > 0;
}

// From a socket of `netns` to the address, where `server` listens: whom the server sees, once a word has come there and
// one back; or what went wrong.
inline std::string TalkOnce(int netns, const std::string& address, int port, const Fd& server, int ms) {
  const Socketed at = At(address, port);
  const Fd client = SocketIn(netns, at.address.ss_family == AF_INET6, SOCK_STREAM | SOCK_NONBLOCK);
  (void)::connect(client.get(), reinterpret_cast<const sockaddr*>(&at.address), at.size);
  if (!Wait(client.get(), POLLOUT, ms)) {
    return "no answer";
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    return std::strerror(error);
  }
  (void)!::write(client.get(), "ping", 4);
  if (!Wait(server.get(), POLLIN)) {
    return "nobody came";
  }
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  const Fd accepted{::accept4(server.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size, SOCK_CLOEXEC)};
  char buffer[8] = "";
  if (!Wait(accepted.get(), POLLIN) || ::read(accepted.get(), buffer, sizeof buffer) != 4) {
    return "no ping";
  }
  (void)!::write(accepted.get(), "pong", 4);
  if (!Wait(client.get(), POLLIN) || ::read(client.get(), buffer, sizeof buffer) != 4 ||
      std::string{buffer, 4} != "pong") {
    return "no pong";
  }
  return HostOf(peer);
}

// Debian 12's pasta lets a connection hang now and then on a busy machine, after it has been made.
inline std::string Talk(int netns, const std::string& address, int port, const Fd& server, int ms = kPatienceMs) {
  std::string said;
  for (int attempt = 0; attempt < 4; ++attempt) {
    said = TalkOnce(netns, address, port, server, ms);
    if (said != "no ping" && said != "no pong" && said != "nobody came") {
      break;
    }
    // Whoever comes late is not the next one.
    while (Wait(server.get(), POLLIN, 0)) {
      const Fd late{::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    }
  }
  return said;
}

inline std::string TalkUdp(int netns, const std::string& address, int port, const Fd& server) {
  const Socketed at = At(address, port);
  const Fd client = SocketIn(netns, at.address.ss_family == AF_INET6, SOCK_DGRAM);
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&at.address), at.size) != 0 ||
      ::send(client.get(), "ping", 4, 0) != 4) {
    return std::strerror(errno);
  }
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  char buffer[8] = "";
  if (!Wait(server.get(), POLLIN) ||
      ::recvfrom(server.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size) != 4) {
    return "no ping";
  }
  ::sendto(server.get(), "pong", 4, 0, reinterpret_cast<sockaddr*>(&peer), size);
  if (!Wait(client.get(), POLLIN) || ::recv(client.get(), buffer, sizeof buffer, 0) != 4) {
    return "no pong";
  }
  return HostOf(peer);
}

// ---- what is there

inline std::string LinkNames() {
  net::Socket socket = Must(net::Socket::Open(), "netlink");
  ifinfomsg everything{};
  std::string names;
  for (const std::string& answer : Must(socket.List({RTM_GETLINK, NLM_F_DUMP, everything}), "links")) {
    ifinfomsg header{};
    const std::string name = net::TextAttribute(net::TakeHeader(answer, header).value_or(""), IFLA_IFNAME);
    if (name.starts_with("nuc")) {
      names += name + " ";
    }
  }
  return names;
}
inline std::string TableNames() {
  nft::Socket socket = Must(nft::Socket::Open(), "nf_tables");
  std::string names;
  for (const auto& table : Must(nft::ListTables(socket, 1), "tables")) {
    names += table.first + " ";
  }
  return names;
}
// Leases and what else is written down; not the lock.
inline std::string FileNames(const std::string& directory) {
  std::string names;
  for (const auto& entry : std::filesystem::directory_iterator{directory}) {
    const std::string name = entry.path().filename();
    if (name != "lock" && name != "new") {
      names += name + " ";
    }
  }
  return names;
}

// A directory that goes with the test.
struct RunDir {
  RunDir() {
    char name[] = "/tmp/uplinkXXXXXX";
    path = ::mkdtemp(name);
  }
  ~RunDir() {
    std::filesystem::remove_all(path);
  }
  std::string path;
};

inline void ExpectNothingLeft(const RunDir& run) {
  Same(LinkNames(), "", "links");
  Same(TableNames(), "", "tables");
  Same(FileNames(run.path), "", "files");
  Same(GetSysctl("ipv4/ip_forward").value_or("?"), "0", "forwarding of IPv4");
  Same(GetSysctl("ipv6/conf/all/forwarding").value_or("?"), "0", "forwarding of IPv6");
}

}  // namespace nucleus::uplink::test
