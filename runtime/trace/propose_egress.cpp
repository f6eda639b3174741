#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <charconv>
#include <set>

#include "runtime/trace/propose.h"

namespace nucleus::trace {
namespace {

constexpr std::size_t kMostRules = 4096;  // of an egress policy

struct Peer {
  std::set<std::pair<unsigned, std::string>> ports;  // the number first: that is their order
  std::map<std::string, std::map<std::string, std::uint64_t>> evidence;
};

// Not the network: it never leaves the namespace.
bool IsLoopback(const std::string& address) {
  in6_addr v6{};
  if (address.find(':') == std::string::npos) {
    return address.starts_with("127.") || address == "0.0.0.0";
  }
  return ::inet_pton(AF_INET6, address.c_str(), &v6) == 1 &&
         (IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6));
}

bool IsAddress(const std::string& address) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(address.find(':') == std::string::npos ? AF_INET : AF_INET6, address.c_str(), bytes.data()) == 1;
}

}  // namespace

std::string ProposeEgress(const Trace& trace) {
  std::map<std::string, Peer> peers;
  for (const auto& [access, count] : trace.connections) {
    const std::size_t slash = access.what.find('/');
    const std::size_t space = access.what.find(' ');
    if (access.use != "connect" || slash == std::string::npos || space == std::string::npos || slash > space) {
      continue;
    }
    const std::string protocol = access.what.substr(0, slash);
    const std::string address = access.what.substr(space + 1);
    std::uint16_t port = 0;
    const auto [rest, error] = std::from_chars(access.what.data() + slash + 1, access.what.data() + space, port);
    // Port 0: a socket that only asks which way it would go.
    if (error != std::errc{} || rest != access.what.data() + space || port == 0 || !IsAddress(address) ||
        IsLoopback(address)) {
      continue;
    }
    Peer& peer = peers[address];
    for (const char* each : {"tcp", "udp"}) {
      if (protocol == each || protocol == "unknown") {
        peer.ports.emplace(port, each);
      }
    }
    peer.evidence[access.program][access.syscall] += count;
  }
  std::erase_if(peers, [](const auto& peer) { return peer.second.ports.empty(); });
  std::string text =
      "# Proposed by `nucleus learn`: read it, and strike what should not be.\n"
      "# Addresses that were connected or sent to; above each: who did, by which system calls, how many times. "
      "Connections\n"
      "# that failed are among them. The names behind the addresses are not known: they were resolved inside.\n";
  if (peers.empty()) {
    text += "# There were none beyond the loopback device: everything is refused.\nlog = true\n";
  }
  std::size_t rules = 0;
  for (const auto& [address, peer] : peers) {
    if (++rules > kMostRules) {
      text += "# and " + std::to_string(peers.size() - kMostRules) + " more\n";
      break;
    }
    text += "\n# " + Evidence(peer.evidence) + "\n[[allow]]\ncidr = \"" + address +
            (address.find(':') == std::string::npos ? "/32" : "/128") + "\"\nports = [";
    for (const auto& [port, protocol] : peer.ports) {
      const bool first = peer.ports.begin()->first == port && peer.ports.begin()->second == protocol;
      text += (first ? "\"" : ", \"") + protocol + "/" + std::to_string(port) + "\"";
    }
    text += "]\n";
  }
  return text;
}

}  // namespace nucleus::trace
