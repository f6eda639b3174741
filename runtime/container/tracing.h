// A container's tracer (runtime/trace), as create starts it, exec joins it, and delete ends it. Inside
// runtime/container only.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/annotations.h"
#include "oci-config/state.h"
#include "runtime/container/container.h"
#include "runtime/container/state_dir.h"

namespace nucleus::container {

// What comes with a listener: a message of no bytes would pass for the end.
inline constexpr const char* kTracerGreeting = "trace";

// The absolute path of the file that the options or else the annotations ask for; empty: no trace.
Result<std::string> TraceFileOf(const CreateOptions& options, const oci::Annotations& annotations);

struct Tracing {
  oci::StateTracer tracer;
  Fd init;  // for the container's first process: takes its listener
};

// A child of this process that outlives it: confined, listening, in a session of its own, without any descriptor of
// this process's. It ends when the last process has that has a copy of `init`, sent a listener by it, or was connected
// by ConnectTracer. Errors of its file and of its own confinement are this function's.
Result<Tracing> LaunchTracer(const StateDir& directory, const std::string& file, const std::string& id,
                             const std::string& config_digest, bool files);

// For the first process, before it says that it is about to execute: an error where the tracer has ended. Its calls
// would fail, the one by which it says so among them.
Result<> CheckTracer(int init);

// For a process of exec.
Result<Fd> ConnectTracer(const StateDir& directory);

// What the state of a container says whose tracer has ended while its processes go on: nothing where that is not so.
std::optional<oci::Degradation> LostTracer(const oci::State& state);

// Waits for the tracer to end by itself (the container's processes have ended), or kills it. An error, for a warning,
// where it had ended before the container and the trace is not whole.
Result<> StopTracer(const oci::State& state);

}  // namespace nucleus::container
