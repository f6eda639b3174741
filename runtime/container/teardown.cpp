#include "runtime/container/teardown.h"

#include <sys/wait.h>

#include <csignal>

#include "policies/mode.h"
#include "runtime/container/hooks.h"
#include "runtime/container/net_helper.h"
#include "runtime/container/record.h"
#include "runtime/container/scope_unit.h"
#include "runtime/container/tracing.h"
#include "runtime/resctrl/resctrl.h"
#include "runtime/sys/fault.h"
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
  FAULT_POINT("delete.kill");
  // Looked at while the init that shows whose it is may still be there.
  if (!opened.state.systemd.made) {
    TRY(StopUnit(opened.state));
  }
  TRY(KillInit(opened.state));
  FAULT_POINT("delete.cgroup");
  const bool removed = !opened.state.systemd.made && cgroup::RemoveEmpty(opened.state.cgroups);
  if (!removed && !opened.state.cgroups.empty()) {
    TRY(cgroup::KillAll(opened.state.cgroups));
  }
  if (opened.state.systemd.made) {
    TRY(StopUnit(opened.state));
  }
  if (!removed && !opened.state.cgroups.empty()) {
    TRY(cgroup::Remove(opened.state.cgroups));
  }
  if (const Result<> traced = StopTracer(opened.state); !traced) {
    settings.warn(traced.error().message);
    Tell(settings, {.kind = "degraded",
                    .id = opened.state.id,
                    .words = {{"stage", std::string{policies::Row(policies::Stage::kSeccompTrace).name}},
                              {"reason", traced.error().message}}});
  }
  TRY(TakeNetworkAway(opened.state));
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
