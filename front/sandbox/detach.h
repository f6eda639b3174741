// `nucleus sandbox --detach`: the sandbox as a service of its own.
#pragma once

#include "base/error.h"
#include "front/program.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

// Prints the id once it runs.
Result<int> DetachSandbox(const Globals& globals, const SandboxOptions& options, const Ids& ids);

}  // namespace nucleus::front
