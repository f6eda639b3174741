// start, kill and exec with gVisor: what a sandbox that is there is asked.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"
#include "runtime/container/container.h"
#include "runtime/container/state_dir.h"

namespace nucleus::gvisor {

Result<> Start(const container::Settings& settings, const std::string& id);

// Of a container whose lock is held; `runs`: the process has been started already. A failure ends the sandbox.
Result<> StartOpened(const container::Settings& settings, const container::StateDir& directory, const oci::Spec& spec,
                     oci::State& state, bool runs);

Result<> Kill(const container::Settings& settings, const std::string& id, int signal, bool all);

// The container's processes as runsc tells them: pids inside, as JSON, or a table. Empty where there is no sandbox.
Result<std::optional<std::string>> Processes(const container::Settings& settings, const std::string& id, bool json);

Result<container::Launched> Exec(const container::Settings& settings, const container::ExecOptions& options);

}  // namespace nucleus::gvisor
