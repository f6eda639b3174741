// create and run with gVisor: from a bundle to a sandbox that waits, or runs.
#pragma once

#include "base/error.h"
#include "runtime/container/bundle.h"
#include "runtime/container/container.h"

namespace nucleus::gvisor {

// `start`: and the process in it is started.
Result<container::Launched> Create(const container::Settings& settings, const container::CreateOptions& options,
                                   container::Bundle bundle, bool start);

}  // namespace nucleus::gvisor
