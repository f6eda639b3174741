// A bundle's policies on their way through the commands: read from the files that its annotations pin when it is
// created, and from the copies in the state directory later, so that what a container was created with holds for every
// exec, whatever becomes of the files. Inside runtime/container only.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "oci-config/spec.h"
#include "policies/policies.h"
#include "runtime/confine/confine.h"
#include "runtime/container/container.h"
#include "runtime/container/state_dir.h"

namespace nucleus::container {

// Refuses what this build cannot carry out, and warns of pins without a digest (where `warn` is not null). `known`: of
// the seccomp policy, or of the one that a mode has where there is none.
Result<policies::Policies> LoadPolicies(const oci::Annotations& annotations, const std::string& bundle,
                                        void (*warn)(const std::string&), const policies::FilterIsKnown& known);

// The digest that `known` is asked for.
std::string SeccompPolicyDigest(const policies::Policies& policies);

// Copies the documents as they were read, and the workload's filter where it has one: in the same file, or alone in its
// own.
Result<> KeepPolicies(const StateDir& directory, const policies::Policies& policies,
                      const confine::SeccompProgram* filter = nullptr);

// The filter, from either.
Result<confine::SeccompProgram> KeptFilter(const StateDir& directory);

// The text of a kept one; ENOENT where there is none of that kind.
Result<std::string> KeptPolicy(const StateDir& directory, const std::string& kind);

// From now on that one's.
Result<> ReplacePolicy(const StateDir& directory, const std::string& kind, std::string_view bytes);

// The kept ones. One that the annotations name and that is not there is an error.
Result<policies::Policies> KeptPolicies(const StateDir& directory, const oci::StringMap& annotations);

}  // namespace nucleus::container
