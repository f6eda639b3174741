// The list of a closure: the files and directories that a root filesystem of links needs, each bound where it lies on
// the host. docs/annotations.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::policies {

// A path a line, absolute, sorted, none below another. Strict: all else is an error, "NAME: line 3: ...".
Result<std::vector<std::string>> ParseClosure(std::string_view text, std::string_view name);

}  // namespace nucleus::policies
