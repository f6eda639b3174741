// A container's compiled seccomp filter on disk, so that `exec` loads the very filter that init has without compiling.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "runtime/confine/confine.h"

namespace nucleus::container {

std::string FormatFilter(const confine::SeccompProgram& program);
Result<confine::SeccompProgram> ParseFilter(std::string_view bytes, const std::string& name);

}  // namespace nucleus::container
