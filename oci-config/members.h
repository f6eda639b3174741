// dev.nucleus.network.members: a container's own number on the bridge, and the names of those that it may talk to.
//
//   40001,web=40001,db=40002,cache=40003
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::oci {

// Numbers that are asked for; those below are given out at random.
inline constexpr std::uint32_t kFirstMember = 32768;
inline constexpr std::uint32_t kLastMember = 65533;

struct Member {
  std::string name;  // lower case, no final dot
  std::uint32_t number = 0;
};

struct Members {
  std::uint32_t number = 0;    // the container's own; 0: none was asked for
  std::vector<Member> others;  // its own names may be among them
};

// An error for what is malformed and for a name that is given twice. The error has no key in front: a sentence on what
// is wrong.
Result<Members> ParseMembers(std::string_view text);

}  // namespace nucleus::oci
