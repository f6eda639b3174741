// The process that `exec` is asked for, before anything narrows it.
#pragma once

#include "base/error.h"
#include "oci-config/spec.h"
#include "runtime/container/container.h"

namespace nucleus::container {

// Of the file that the options name, or theirs on top of the container's own process.
Result<oci::Process> ExecProcess(const ExecOptions& options, const oci::Spec& spec);

}  // namespace nucleus::container
