// `nucleus compose`.
#pragma once

#include "base/error.h"
#include "front/program.h"

namespace nucleus::front::compose {

// The exit status.
Result<int> RunCompose(const Globals& globals, const Words& words);

}  // namespace nucleus::front::compose
