// What a mode (`dev.nucleus.mode`) makes of a bundle: defaults that only narrow, and what it demands. What the failure
// of a stage means stands in policies/mode.h; docs/modes.md has both as one table.
#pragma once

#include "base/error.h"
#include "oci-config/spec.h"
#include "policies/policies.h"
#include "runtime/plan/plan.h"

namespace nucleus::plan {

// The policies with the mode's own where the bundle names none: no capabilities, the built-in seccomp profile, Landlock
// as the mounts have it. Without the bytes of the documents, which have been read by now. For `create` and `exec`
// alike; without a mode they stay as they are.
Result<policies::Policies> WithModeDefaults(const oci::Spec& spec, const policies::Policies& policies,
                                            const Host& host);

// What the mode changes of a process: `no_new_privileges`.
void ConfineByMode(std::optional<oci::Mode> mode, oci::Process& process);

// The bundle as the mode wants it: namespaces added, masked and read-only paths added, the process confined. An error
// where the bundle says what the mode forbids; it names the key.
Result<oci::Spec> ApplyMode(oci::Mode mode, const oci::Spec& spec, const Options& options, const Host& host,
                            bool egress_policy);

// What the mode demands of the finished Plan, and what the runtime has to look at while it carries it out.
Result<> FinishMode(const oci::Spec& spec, const policies::Policies& policies, Plan& plan);

// Landlock as the container's mounts have it: what is mounted read-only cannot be written, what is noexec not executed.
// `abi` is the kernel's.
policies::LandlockPolicy DeriveLandlock(const oci::Spec& spec, int abi);

}  // namespace nucleus::plan
