// `nucleus sandbox`: a bundle is written, run and deleted.
#pragma once

#include "base/error.h"
#include "front/program.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

// The exit status: the command's, 124 after --timeout.
Result<int> RunSandbox(const Globals& globals, const SandboxOptions& options);

}  // namespace nucleus::front
