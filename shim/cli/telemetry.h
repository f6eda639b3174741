// Spans of what a command does, for OpenTelemetry (docs/telemetry.md). They are collected while it runs and handed to
// another program when it is over. Without an endpoint in the environment there is one look at that, and no more.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "oci-config/annotations.h"
#include "oci-config/state.h"

namespace nucleus::shim::telemetry {

// The command's span begins: "nucleus NAME". Once in a process, after the log was opened.
void Begin(std::string_view name);
// Children of this process, which are nucleus too, make their spans below this one: by TRACEPARENT in the environment.
void PassOn();
// For the environment of a child whose commands are no part of a life: it makes no spans.
void Silence();

// Is there a span? What follows does nothing where there is none.
bool Active();
// More of the command: never an environment's values, secrets or arguments of a workload.
void NoteContainer(const std::string& id, const std::string& bundle);
void NoteProject(const std::string& name);
void NoteMode(const oci::Annotations& annotations);
void NoteState(const oci::State& state);

// The next of its stages begins, and with that the one before ends: a span below the command's. For Settings::stage.
void Stage(const char* name);

// The command is over; `error`: why it failed, null where it did not. The spans go on their way. What is wrong with
// that is a warning in the log.
void End(int exit_status, const Error* error);

}  // namespace nucleus::shim::telemetry
