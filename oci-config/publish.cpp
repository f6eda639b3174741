#include "oci-config/publish.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>

namespace nucleus::oci {
namespace {

// Each becomes rules in the kernel.
constexpr std::size_t kMaxPublished = 256;

Error Wrong(std::string_view item, std::string_view what) {
  constexpr std::size_t kMax = 80;
  return Failure(
      "\"" + std::string{item.substr(0, kMax)} + (item.size() > kMax ? "..." : "") + "\" " + std::string{what}, EINVAL);
}

std::optional<std::uint32_t> Port(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.front() == '0' || error != std::errc{} || end != text.data() + text.size() ||
      value > UINT16_MAX) {
    return {};
  }
  return value;
}

struct Range {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

std::optional<Range> Ports(std::string_view text) {
  const std::size_t dash = text.find('-');
  const std::optional<std::uint32_t> first = Port(text.substr(0, dash));
  const std::optional<std::uint32_t> last = dash == std::string_view::npos ? first : Port(text.substr(dash + 1));
  if (!first || !last || *last < *first) {
    return {};
  }
  return Range{.first = *first, .last = *last};
}

// Takes "ADDRESS:" off the front of `rest`.
bool TakeHost(std::string_view& rest, PublishedPort& port) {
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find("]:");
    if (end == std::string_view::npos) {
      return false;
    }
    port.host = PublishedPort::Host::kV6;
    const std::string address{rest.substr(1, end - 1)};
    rest.remove_prefix(end + 2);
    return ::inet_pton(AF_INET6, address.c_str(), port.address.data()) == 1;
  }
  if (std::ranges::count(rest, ':') != 2) {
    return true;
  }
  port.host = PublishedPort::Host::kV4;
  const std::string address{rest.substr(0, rest.find(':'))};
  rest.remove_prefix(address.size() + 1);
  return ::inet_pton(AF_INET, address.c_str(), port.address.data()) == 1;
}

Result<PublishedPort> ParseOne(std::string_view item) {
  PublishedPort port;
  std::string_view rest = item;
  if (const std::size_t slash = rest.rfind('/'); slash != std::string_view::npos) {
    const std::string_view protocol = rest.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp") {
      return std::unexpected(Wrong(item, "has a protocol other than tcp and udp"));
    }
    port.protocol = protocol == "udp" ? PublishedPort::Protocol::kUdp : PublishedPort::Protocol::kTcp;
    rest = rest.substr(0, slash);
  }
  if (!TakeHost(rest, port)) {
    return std::unexpected(Wrong(item, "has no valid address of the host"));
  }
  const std::size_t colon = rest.find(':');
  const std::optional<Range> host = Ports(rest.substr(0, colon));
  const std::optional<Range> container = colon == std::string_view::npos ? std::nullopt : Ports(rest.substr(colon + 1));
  if (!host || !container) {
    return std::unexpected(
        Wrong(item, "must be [ADDRESS:]PORT:PORT[/tcp or /udp], with ports or ranges from 1 to 65535"));
  }
  if (host->last - host->first != container->last - container->first) {
    return std::unexpected(Wrong(item, "has ranges of different lengths"));
  }
  port.host_port = static_cast<std::uint16_t>(host->first);
  port.container_port = static_cast<std::uint16_t>(container->first);
  port.count = static_cast<std::uint16_t>(host->last - host->first + 1);
  // 0.0.0.0 and [::] are all addresses of that kind, as a socket has it.
  return port;
}

bool Unspecified(const PublishedPort& port) {
  return std::ranges::all_of(port.address, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

bool Overlap(const PublishedPort& one, const PublishedPort& other) {
  if (one.protocol != other.protocol || one.host_port + one.count <= other.host_port ||
      other.host_port + other.count <= one.host_port) {
    return false;
  }
  if (one.host == PublishedPort::Host::kAny || other.host == PublishedPort::Host::kAny) {
    return true;
  }
  return one.host == other.host && (one.address == other.address || Unspecified(one) || Unspecified(other));
}

Result<std::vector<PublishedPort>> ParsePublish(std::string_view text) {
  std::vector<PublishedPort> ports;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    const std::string_view item = text.substr(0, comma);
    text.remove_prefix(more ? comma + 1 : text.size());
    PublishedPort port = TRY(ParseOne(item));
    if (std::ranges::any_of(ports, [&port](const PublishedPort& earlier) { return Overlap(earlier, port); })) {
      return std::unexpected(Wrong(item, "takes a port of the host that is taken already"));
    }
    if (ports.size() == kMaxPublished) {
      return std::unexpected(Failure("more than " + std::to_string(kMaxPublished) + " entries", E2BIG));
    }
    ports.push_back(port);
  }
  return ports;
}

}  // namespace nucleus::oci
