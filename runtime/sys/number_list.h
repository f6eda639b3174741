// Lists of CPUs and memory nodes as the kernel writes them: "0-3,7".
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace nucleus::sys {

// The numbers, ascending, each once. EINVAL for a malformed list, and for a number of 65536 or more: above what any
// kernel is built for.
Result<std::vector<unsigned>> ParseNumberList(const std::string& list);

}  // namespace nucleus::sys
