// Runs a bundle's hooks.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::container {

// Runs `hooks` in order with `state` on stdin, args and env exactly as given (nothing inherited), stdout and stderr the
// bounded and kept for the error. A hook that cannot be run, exits non-zero, is killed or outlives its timeout (then it
// is killed with its process group) is an error: `error running prestart hook #0: /path: exit status 1, stdout: ...,
// stderr: ...`. Stops at the first failure. Only fork/execve/poll: safe in the container's child as well as in the
// runtime.
Result<> RunHooks(std::string_view kind, const std::vector<oci::Hook>& hooks, const std::string& state);

// poststop: every hook runs; each failure is one entry of the result.
std::vector<Error> RunHooksToTheEnd(std::string_view kind, const std::vector<oci::Hook>& hooks,
                                    const std::string& state);

}  // namespace nucleus::container
