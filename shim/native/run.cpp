// run, exec and restore: the commands whose process may stay with the caller.

#include <sys/prctl.h>

#include "runtime/container/record.h"
#include "runtime/evidence/event_log.h"
#include "runtime/evidence/readback.h"
#include "shim/cli/commands.h"
#include "shim/cli/telemetry.h"
#include "shim/native/foreground.h"

namespace nucleus::shim {

namespace {

using container::Tell;
using container::TellFailure;

// Orphans of the container's init (without a pid namespace of its own) come to this process, not to the host's init.
Result<> AdoptOrphans(bool wanted) {
  if (wanted && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_CHILD_SUBREAPER"));
  }
  return {};
}

Result<> DeleteEnded(const container::Settings& settings, const std::string& id) {
  container::Enter(settings, "delete");
  if (settings.events != nullptr) {
    settings.events->Hold(id);
  }
  if (const Result<> deleted = container::Delete(settings, id, true); !deleted) {
    return std::unexpected(Context("delete", deleted.error()));
  }
  Tell(settings, {.kind = "deleted", .id = id});
  return {};
}

// A process that was waited for.
void TellEnd(const container::Settings& settings, std::string_view kind, const std::string& id, pid_t pid,
             const Result<int>& status) {
  if (status) {
    Tell(settings, {.kind = kind, .id = id, .numbers = {{"pid", pid}, {"status", *status}}});
  }
}

Result<container::Launched> TellMade(const container::Settings& settings, std::string_view command,
                                     std::string_view kind, const std::string& id, Result<container::Launched> made) {
  if (made && settings.events != nullptr) {
    oci::StringMap process;
    // Of one that is in a sandbox of gVisor the host's kernel shows nothing: the pid is that of who waits for it.
    if (!made->signal) {
      evidence::ReadProcess(made->pid, {}, process);
      evidence::ReadNamespaces(made->pid, made->pidfd.get(), process);
    }
    Tell(settings, {.kind = kind, .id = id, .numbers = {{"pid", made->pid}}, .evidence = &process});
  } else if (!made) {
    TellFailure(settings, id, command, made.error());
  }
  return made;
}

Result<container::Launched> TellExec(const container::Settings& settings, const std::string& id,
                                     Result<container::Launched> made) {
  return TellMade(settings, "exec", "exec", id, std::move(made));
}

Result<container::Launched> TellRestored(const container::Settings& settings, const std::string& id,
                                         Result<container::Launched> made) {
  return TellMade(settings, "restore", "restored", id, std::move(made));
}

}  // namespace

Result<int> Run(const container::Settings& settings, const RunCommand& command, const Backends& backends) {
  const std::string& id = command.options.id;
  container::Bundle bundle = TRY(container::OpenBundle(settings, command.options));
  Backend& backend = Route(backends, bundle.annotations);
  telemetry::NoteMode(bundle.annotations);
  if (command.detach) {
    const container::Launched process = TRY(backend.CreateAndStart(settings, command.options, std::move(bundle)));
    if (process.ready) {
      if (const Result<> waited = process.ready->Wait(process.pidfd.get(), process.pid); !waited) {
        settings.warn(waited.error().message);
      }
    }
    return 0;
  }
  TRY(AdoptOrphans(command.subreaper));
  const SignalGate signals = TRY(SignalGate::Make());
  container::Launched process = TRY(backend.CreateAndStart(settings, command.options, std::move(bundle)));
  container::Enter(settings, "process");
  const Result<int> status = Accompany(signals, process);
  TellEnd(settings, "exited", id, process.pid, status);
  if (!command.keep) {
    TRY(DeleteEnded(settings, id));
  }
  return status;
}

Result<int> Exec(const container::Settings& settings, const ExecCommand& command, const Backends& backends) {
  const std::string& id = command.options.id;
  Backend& backend = Route(backends, settings, id);
  container::Enter(settings, "exec");
  if (command.options.detach) {
    TRY(TellExec(settings, id, backend.Exec(settings, command.options)));
    return 0;
  }
  const SignalGate signals = TRY(SignalGate::Make());
  container::Launched process = TRY(TellExec(settings, id, backend.Exec(settings, command.options)));
  container::Enter(settings, "process");
  const Result<int> status = Accompany(signals, process);
  TellEnd(settings, "exec-ended", id, process.pid, status);
  return status;
}

Result<int> Restore(const container::Settings& settings, const RestoreCommand& command) {
  if (command.detach) {
    TRY(TellRestored(settings, command.options.id, container::Restore(settings, command.options, command.criu)));
    return 0;
  }
  TRY(AdoptOrphans(command.subreaper));
  const SignalGate signals = TRY(SignalGate::Make());
  container::Launched process =
      TRY(TellRestored(settings, command.options.id, container::Restore(settings, command.options, command.criu)));
  container::Enter(settings, "process");
  const Result<int> status = Accompany(signals, process);
  TellEnd(settings, "exited", command.options.id, process.pid, status);
  TRY(DeleteEnded(settings, command.options.id));
  return status;
}

}  // namespace nucleus::shim
