// Files that a command makes for its user.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace nucleus::shim {

// Mode 0644, under another name first: `path` is whole, or as it was. Returns its pin, PATH@sha256:HEX.
Result<std::string> WriteOutputFile(const std::string& path, std::string_view text);

}  // namespace nucleus::shim
