// Where agent mode goes on without a protection: the process that finds it missing says so, the runtime records it in
// the state. What may be missing says policies/mode.h.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "oci-config/state.h"
#include "policies/mode.h"
#include "runtime/confine/confine.h"
#include "runtime/container/channel.h"

namespace nucleus::container {

// In the child: the failure is said on the socket that `channel` names at that time, where `mode` lets the stage go;
// else it is returned.
confine::OnFailure OrDegrade(std::optional<oci::Mode> mode, std::function<int()> channel);

// Of a kDegraded message.
oci::Degradation TakeDegradation(const Message& message);

// "landlock is not in force: ..."
std::string DegradedText(const oci::Degradation& degradation);

// Into the state, and told to the user; once for each stage.
void Record(void (*warn)(const std::string&), oci::Degradation degradation, oci::State& state);

bool IsDegraded(const oci::State& state, policies::Stage stage);

}  // namespace nucleus::container
