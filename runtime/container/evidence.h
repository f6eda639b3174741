// What was enforced for a container, for its state and its events: read back from the kernel once the process is made,
// and again once it has executed; or, of a container that nothing outlives, when somebody asks. Inside
// runtime/container, for exec's event, and for those who print a state.
#pragma once

#include "runtime/confine/confine.h"
#include "runtime/container/bundle.h"
#include "runtime/container/container.h"
#include "runtime/container/query.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

// A plain OCI bundle pays nothing: only with --events, or an annotation under dev.nucleus.
bool WantsEvidence(const Settings& settings, const oci::StringMap& annotations);

// What was handed to the kernel: SHA-256 of the instructions, 8 bytes each, as in <linux/filter.h>.
std::string FilterDigest(const confine::SeccompProgram& program);

// Into state.evidence, of the process that waits for `start`; `plan` tells which facts there are to look for.
// `now` false: the kernel is not asked, neither here nor by GatherStarted, but by EvidenceOf.
void GatherCreated(const Bundle& bundle, const plan::Plan& plan, int pidfd, bool now, oci::State& state);
// Events "degraded" and "created". An error where a file did not take them.
Result<> TellCreated(const Settings& settings, const oci::State& state);

// Of the cgroups, and of the process that has executed; where it has ended already, what it was when it was created
// stays.
// `pidfd`: the init's, or -1.
void GatherStarted(const Settings& settings, const oci::Spec& spec, int pidfd, oci::State& state);
// Events "started", and "degraded" for what came after the first `known` degradations.
void TellStarted(const Settings& settings, const oci::State& state, std::size_t known);

// state.evidence and the degradations, under one roof: `degraded.STAGE`.
oci::StringMap WholeEvidence(const oci::State& state);
// The same for who asks now: what has not been read yet is, where the container's process lives.
oci::StringMap EvidenceOf(const Settings& settings, const Snapshot& snapshot);

}  // namespace nucleus::container
