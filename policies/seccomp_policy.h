// The seccomp policy: an OCI `linux.seccomp` object in a file of its own.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::policies {

// As config.json's own, but strict: unknown and repeated keys, names of syscalls that `is_syscall` does not know, and
// two rules without arguments for one syscall, or with the same arguments, are errors: "FILE:LINE: KEY: ...".
Result<oci::Seccomp> ParseSeccompPolicy(std::string_view json, const std::string& name,
                                        bool (*is_syscall)(std::string_view name));

}  // namespace nucleus::policies
