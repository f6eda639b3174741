// The last stretch of every process that enters a container, init and exec alike: streams, working directory,
// confinement, the executable. One path for both, so that an exec is never less confined than init.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"
#include "runtime/confine/confine.h"
#include "runtime/rootfs/rootfs.h"

namespace nucleus::container {

// No signal blocked or ignored: the state of the runtime's caller must not reach what is executed.
void ResetSignals();

// Makes `console`'s slave the standard streams and the controlling terminal (its master goes to `channel`); without a
// console gives the inherited streams to the user, as far as they are the runtime's to give.
Result<> ConnectStreams(std::optional<rootfs::Console> console, int channel, uid_t uid);

// Changes to `cwd` and checks that the place is inside the container: never "(unreachable)/...".
Result<> EnterWorkingDirectory(const std::string& cwd);

// argv[0] as execve takes it: searched in PATH of `env` where it has no slash. Errors as callers match them:
// `exec: "sh": executable file not found in $PATH`.
Result<std::string> FindExecutable(const std::string& name, const std::vector<std::string>& env);

// Of several entries with one name the last counts, at the place of the first: exec appends what it was given to the
// container's own environment, and getenv(3) inside takes the first.
void MakeUnique(std::vector<std::string>& env);

// Adds HOME from the container's /etc/passwd (else "/") where env has none or an empty one.
void AddHome(std::vector<std::string>& env, uid_t uid);

struct FinalSteps {
  const oci::Process* process = nullptr;
  const confine::Confinement* confinement = nullptr;
  const confine::SharedProgram* shared_program = nullptr;  // one of these two where there is a filter
  const confine::SeccompProgram* program = nullptr;
  int preserve_fds = 0;
  int listener_socket = -1;
  std::string listener_state;
  bool init = false;                         // this process stays as an init (init.h), and a child of it executes
  std::function<void(const Error&)> failed;  // with an init: that child's way to report what went wrong, and to end
  confine::OnFailure on_failure = [](policies::Stage, Error error) { return std::unexpected(std::move(error)); };
};

// Prepare, find the executable, `gate` (init waits there for `start`; returns the socket that hears of a failure), then
// the filter and execve. Returns only on failure; of the child that an init has, `failed` hears.
Result<> ConfineAndExecute(const FinalSteps& steps, const std::function<Result<>()>& gate);

}  // namespace nucleus::container
