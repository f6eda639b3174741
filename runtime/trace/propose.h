// Policies that allow what was traced. Proposals: the evidence stands above each rule, and somebody has to read them.
#pragma once

#include <functional>
#include <string>

#include "runtime/trace/read.h"

namespace nucleus::trace {

enum class Kind { kMissing, kFile, kDirectory };
// What the path (absolute, inside the container) is now that the container has ended.
using KindOf = std::function<Kind(const std::string& path)>;

// A Landlock policy (TOML). A rule stands for a directory where more than a few of its files were used, for /usr, /lib,
// /bin and the like as a whole, and never lets anything be written below "/" as a whole.
std::string ProposeLandlock(const Trace& trace, const KindOf& kind_of);

// An egress policy (TOML): an address a rule, with the ports; names are not known.
std::string ProposeEgress(const Trace& trace);

// "sh: openat 3, execve 1; cat: openat 1", for a comment: one line, without control characters.
std::string Evidence(const std::map<std::string, std::map<std::string, std::uint64_t>>& by_program);

}  // namespace nucleus::trace
