// dev.nucleus.network.publish: ports of the host that lead to a container, as typed values.
//
//   8080:80                      every address of the host, IPv4 and IPv6, TCP
//   127.0.0.1:5353:53/udp        one address of the host
//   [::1]:8443:443               0.0.0.0 and [::] are all addresses of one kind
//   9000-9010:7000-7010/tcp      ranges of the same length
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::oci {

struct PublishedPort {
  enum class Host { kAny, kV4, kV6 };
  enum class Protocol { kTcp, kUdp };
  Host host = Host::kAny;
  std::array<std::uint8_t, 16> address{};  // network order; 4 of them for kV4
  std::uint16_t host_port = 0;             // the first of `count`
  std::uint16_t container_port = 0;        // the first of `count`
  std::uint16_t count = 1;
  Protocol protocol = Protocol::kTcp;
};

// A list with commas. An error for what is malformed and for a port of the host that is given twice. The error has no
// key in front: a sentence on what is wrong.
Result<std::vector<PublishedPort>> ParsePublish(std::string_view text);

// The same port of the host?
bool Overlap(const PublishedPort& one, const PublishedPort& other);

}  // namespace nucleus::oci
