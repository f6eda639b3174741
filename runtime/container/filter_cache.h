// Compiled seccomp filters, kept between containers: libseccomp takes some ten milliseconds for a usual profile of
// three architectures, more than everything else that a container costs.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "oci-config/spec.h"
#include "runtime/confine/confine.h"

namespace nucleus::container {

// Everything of the profile that the filter depends on, and the version of the compiler: equal keys, equal filters.
std::string FilterKey(const oci::Seccomp& seccomp);

// The filter of the profile: from a file in `directory` that holds the very same key, else compiled, and then kept
// there. The directory (made when missing, 0700) must belong to this user alone; where it cannot be used there is no
// cache, and the filter is compiled. So it is, and kept anew, where a file is not this user's alone (owner, mode, one
// name) or its digest is not that of its content. At most 64 are kept. An empty `directory`: no cache.
Result<confine::SeccompProgram> CompileCached(const std::string& directory, const oci::Seccomp& seccomp);

// The same by the digest of a policy's text: what was parsed and compiled without an error is that again from the same
// bytes, and its hundreds of names need not be looked up for each container. Nothing where it is not there.
std::shared_ptr<const confine::SeccompProgram> FindFilter(const std::string& directory, std::string_view digest);

// The filter of the policy with this digest, kept for FindFilter. Not one that notifies: its agent is told what the
// policy says.
Result<confine::SeccompProgram> CompilePolicy(const std::string& directory, std::string_view digest,
                                              const oci::Seccomp& policy);

// Where this user's cache is: below /run for root, below $XDG_RUNTIME_DIR for others; empty without one.
std::string FilterCacheDirectory();

}  // namespace nucleus::container
