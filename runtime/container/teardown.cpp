#include "runtime/container/teardown.h"

#include <sys/wait.h>

#include <csignal>

#include "runtime/container/hooks.h"
#include "runtime/resctrl/resctrl.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

// A killed process ends at once unless the kernel holds it (a stuck device, a frozen filesystem).
constexpr int kKillWaitMs = 10000;

Result<> KillInit(const oci::State& state) {
  const Result<Fd> init = OpenInit(state);
  if (!init) {
    return {};
  }
  const Result<> sent = sys::PidfdSendSignal(init->get(), SIGKILL);
  if (!sent && sent.error().code != ESRCH) {
    return sent;
  }
  // A frozen process dies only once it is thawed.
  (void)cgroup::Thaw(state.cgroups);
  if (!TRY(sys::PidfdWait(init->get(), kKillWaitMs))) {
    return std::unexpected(Failure("container init still running", EBUSY));
  }
  // Its parent may be this very process (`run`).
  (void)::waitpid(state.pid, nullptr, WNOHANG);
  return {};
}

}  // namespace

Result<> TearDown(const Settings& settings, Opened& opened) {
  TRY(KillInit(opened.state));
  if (!opened.state.cgroups.empty()) {
    TRY(cgroup::KillAll(opened.state.cgroups));
    TRY(cgroup::Remove(opened.state.cgroups));
  }
  TRY(resctrl::Remove(opened.state.resctrl));
  const Result<std::shared_ptr<const oci::Spec>> spec = opened.directory.ReadSpec();
  if (spec) {
    opened.state.pid = 0;
    for (const Error& error :
         RunHooksToTheEnd("poststop", (*spec)->hooks.poststop, oci::FormatOciState(opened.state, "stopped"))) {
      settings.warn(error.message);
    }
  } else if (spec.error().code != ENOENT) {
    settings.warn(spec.error().message);
  }
  return opened.directory.Remove();
}

}  // namespace nucleus::container
