// What the parser and the setter say to each other, over one SOCK_SEQPACKET pair: a header, and for kGrant `count`
// records. Both are forks of one program, so that structures can go as they are. The setter believes nothing of it.
// Inside runtime/egress/gate only.
#pragma once

#include <array>
#include <cstdint>

namespace nucleus::gate {

enum class Word : std::uint32_t {
  // parser → setter
  kGrant = 1,    // `count` records follow; answered by kGranted with the same id
  kWantUdp = 2,  // `count` sockets that are connected to server `server`
  kWantTcp = 3,  // one, connecting; for transaction `id`
  // setter → parser
  kGranted = 4,  // error: 0, or an errno: nothing may be answered with these addresses
  kUdp = 5,      // `count` sockets come with it; or error
  kTcp = 6,      // one; or error
};

struct Header {
  Word word = Word::kGrant;
  std::uint32_t server = 0;
  std::uint64_t id = 0;
  std::uint32_t count = 0;
  std::int32_t error = 0;
};

struct GrantRecord {
  std::uint32_t v6 = 0;
  std::uint32_t group = 0;
  std::uint32_t seconds = 0;
  std::array<std::uint8_t, 16> address{};
};

inline constexpr std::size_t kMaxRecords = 2048;  // in one message: kMaxAddresses for each of kMaxGroups
inline constexpr std::uint32_t kMaxSockets = 16;  // likewise

}  // namespace nucleus::gate
