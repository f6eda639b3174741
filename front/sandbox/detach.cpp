#include "front/sandbox/detach.h"

#include <unistd.h>

#include "base/fd.h"
#include "front/sandbox/lifetime.h"
#include "front/service/service.h"
#include "shim/cli/telemetry.h"

namespace nucleus::front {

Result<int> DetachSandbox(const Globals& globals, const SandboxOptions& options, const Ids& ids) {
  Sandbox sandbox = TRY(Sandbox::Plan(globals, options, ids));
  shim::telemetry::NoteContainer(sandbox.id(), "");
  const ServiceSpec spec{.id = sandbox.id(),
                         .runner = sandbox.RunnersWords(),
                         .health = options.health,
                         .log = options.log,
                         .stop_signal = options.stop_signal == 0 ? SIGTERM : options.stop_signal,
                         .stop_timeout_ms = options.stop_timeout_ms,
                         .timeout_ms = options.timeout_ms,
                         .restart = options.restart,
                         .most_restarts = options.most_restarts,
                         .terminal = options.terminal,
                         .keep_input = options.interactive,
                         .echo = false,
                         .labels = {}};
  // All of these are called in the supervisor, which has this object as it is now.
  const ServiceHooks hooks{.prepare = [&] { return sandbox.Prepare(options.terminal); },
                           .before = [&] { return sandbox.Tell(::getpid()); },
                           .finish =
                               [&](const std::function<void(const std::string&)>& warn) {
                                 const Result<> returned = sandbox.Return(warn);
                                 const Result<> removed = sandbox.Remove();
                                 return returned ? removed : returned;
                               }};
  TRY(StartService(globals, spec, hooks));
  TRY(WriteAll(STDOUT_FILENO, sandbox.id() + "\n", "stdout"));
  return 0;
}

}  // namespace nucleus::front
