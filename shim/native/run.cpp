// run and exec: the commands whose process may stay with the caller.

#include <sys/prctl.h>

#include "shim/cli/commands.h"
#include "shim/cli/log.h"
#include "shim/native/foreground.h"

namespace nucleus::shim {
namespace {

// A container that this command made and cannot go on with is removed; the error that led here is the one to report.
void Discard(const container::Settings& settings, const std::string& id) {
  if (const Result<> deleted = container::Delete(settings, id, true); !deleted) {
    Log(Level::kWarning, "delete " + id + ": " + deleted.error().message);
  }
}

}  // namespace

Result<int> Run(const container::Settings& settings, const RunCommand& command) {
  const std::string& id = command.options.id;
  if (command.detach) {
    TRY(container::Create(settings, command.options));
    if (Result<> started = container::Start(settings, id); !started) {
      Discard(settings, id);
      return std::unexpected(started.error());
    }
    return 0;
  }
  // Orphans of the container's init (without a pid namespace of its own) come to this process, not to the host's init.
  if (command.subreaper && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_CHILD_SUBREAPER"));
  }
  const SignalGate signals = TRY(SignalGate::Make());
  container::Launched process = TRY(container::Create(settings, command.options));
  if (Result<> started = container::Start(settings, id); !started) {
    Discard(settings, id);
    return std::unexpected(started.error());
  }
  const Result<int> status = Accompany(signals, process);
  if (!command.keep) {
    if (const Result<> deleted = container::Delete(settings, id, true); !deleted) {
      return std::unexpected(Context("delete", deleted.error()));
    }
  }
  return status;
}

Result<int> Exec(const container::Settings& settings, const ExecCommand& command) {
  if (command.options.detach) {
    TRY(container::Exec(settings, command.options));
    return 0;
  }
  const SignalGate signals = TRY(SignalGate::Make());
  container::Launched process = TRY(container::Exec(settings, command.options));
  return Accompany(signals, process);
}

}  // namespace nucleus::shim
