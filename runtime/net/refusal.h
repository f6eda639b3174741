// A line of the container's refusals (request.h, kRefusedFile): a packet, as nucleus-net writes it, or a name, as the
// gate does. Read for `nucleus egress`, as text and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nucleus::net {

struct Refusal {
  std::string time;
  std::string protocol;  // empty: a name was refused
  std::string destination;
  std::string name;
  std::string type;    // of the question
  std::string reason;  // of a refused name
  std::uint32_t port = 0;
  bool outside = false;  // by the second table
};

// Nothing where the line cannot be read: who wrote it may have been the container's to break.
std::optional<Refusal> ParseRefusal(std::string_view line);

// For people, one line without its end: no control characters, whatever names were asked for.
std::string RefusalText(const Refusal& refusal);

}  // namespace nucleus::net
