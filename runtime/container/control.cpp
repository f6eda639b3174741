// kill, delete, pause, resume.

#include <csignal>

#include "runtime/container/container.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/query.h"
#include "runtime/container/teardown.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

// With the pid namespace of the host or of another container, the end of init does not end the rest.
Result<bool> OwnsPidNamespace(const Opened& opened) {
  const std::shared_ptr<const oci::Spec> spec = TRY(opened.directory.ReadSpec());
  for (const oci::Namespace& entry : spec->linux_.namespaces) {
    if (entry.type == oci::NamespaceType::kPid) {
      return entry.path.empty();
    }
  }
  return false;
}

// A directory without a state that can be read: create was killed before it had made anything else, or the host went
// down while the state was written, and everything that it named with it.
Result<> RemoveUnreadable(const Settings& settings, const std::string& id, const Error& why) {
  TRY(ValidateId(id));
  FAULT_POINT("delete.again");
  Result<StateDir> directory = StateDir::Open(settings.root, id);
  if (!directory) {
    return directory.error().code == ENOENT ? Result<>{} : std::unexpected(directory.error());
  }
  FAULT_POINT("delete.again-lock");
  TRY(directory->Lock());
  // Since it was looked at, a create may have come to its end there.
  if (Result<oci::State> state = directory->ReadState()) {
    const Status status = TRY(StatusOf(*state));
    Opened opened{.directory = std::move(*directory), .state = std::move(*state), .status = status};
    return TearDown(settings, opened);
  }
  if (why.code != ENOENT) {
    settings.warn(why.message);
  }
  return directory->Remove();
}

}  // namespace

Result<> Kill(const Settings& settings, const std::string& id, int signal, bool all) {
  const Opened opened = TRY(OpenContainer(settings, id, false));
  const Result<Fd> init = OpenInit(opened.state);
  const bool own_pids = OwnsPidNamespace(opened).value_or(true);
  if (!own_pids && !opened.state.cgroups.empty() && (all || signal == SIGKILL)) {
    if (signal == SIGKILL) {
      TRY(cgroup::KillAll(opened.state.cgroups));
      return {};
    }
    for (const pid_t pid : TRY(cgroup::Processes(opened.state.cgroups))) {
      if (::kill(pid, signal) != 0 && errno != ESRCH) {
        return std::unexpected(SysError("kill", std::to_string(pid)));
      }
    }
    return {};
  }
  if (!init) {
    return std::unexpected(init.error());
  }
  FAULT_POINT("kill.signal");
  const Result<> sent = sys::PidfdSendSignal(init->get(), signal);
  if (!sent) {
    return std::unexpected(sent.error().code == ESRCH ? Failure("container not running", ESRCH) : sent.error());
  }
  // A paused container hears SIGKILL only when it is thawed; every caller expects it to die.
  // Asked only now: it may have been paused while the signal was on its way.
  if (signal == SIGKILL && cgroup::IsFrozen(opened.state.cgroups).value_or(false)) {
    TRY(cgroup::Thaw(opened.state.cgroups));
  }
  return {};
}

Result<> Delete(const Settings& settings, const std::string& id, bool force) {
  Result<Opened> opened = OpenContainer(settings, id, true);
  if (!opened && force) {
    return RemoveUnreadable(settings, id, opened.error());
  }
  if (!opened) {
    return std::unexpected(opened.error());
  }
  if (!force) {
    TRY(MayBeSaid(Command::kDelete, opened->status, id));
  }
  return TearDown(settings, *opened);
}

Result<> Pause(const Settings& settings, const std::string& id) {
  const Opened opened = TRY(OpenContainer(settings, id, true));
  TRY(MayBeSaid(Command::kPause, opened.status, id));
  return cgroup::Freeze(opened.state.cgroups);
}

Result<> Resume(const Settings& settings, const std::string& id) {
  const Opened opened = TRY(OpenContainer(settings, id, true));
  TRY(MayBeSaid(Command::kResume, opened.status, id));
  return cgroup::Thaw(opened.state.cgroups);
}

}  // namespace nucleus::container
