// update: new limits for a container that is there.

#include <set>

#include "oci-config/annotations.h"
#include "runtime/container/container.h"
#include "runtime/container/host.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/query.h"
#include "runtime/container/rollback.h"
#include "runtime/container/scope_unit.h"
#include "runtime/plan/production.h"
#include "runtime/resctrl/resctrl.h"

namespace nucleus::container {

namespace {

// A process that forks while it is moved may leave a child behind: asked again until nobody new is there.
Result<> AttachAll(const oci::State& state) {
  constexpr int kMostRounds = 100;
  std::set<pid_t> moved;
  for (int round = 0; round < kMostRounds; ++round) {
    bool found = false;
    for (const pid_t pid : TRY(cgroup::Processes(state.cgroups))) {
      if (moved.insert(pid).second) {
        found = true;
        TRY(resctrl::AttachThreads(state.resctrl, pid));
      }
    }
    if (!found) {
      return {};
    }
  }
  return std::unexpected(Failure("the container's processes multiply too fast to be moved", EAGAIN));
}

Result<> UpdateResctrl(Opened& opened, const oci::IntelRdt& rdt, Rollback& rollback) {
  const std::string mount = TRY(resctrl::ReadMount());
  oci::State& state = opened.state;
  if (!state.resctrl.directory.empty()) {
    const std::string before = TRY_IN("Intel RDT", resctrl::Update(mount, state.resctrl, rdt));
    rollback.Push([&state, before] { (void)resctrl::Restore(state.resctrl, before); });
    return {};
  }
  state.resctrl = TRY(resctrl::Create(mount, rdt, state.id));
  rollback.Push([&opened] {
    (void)resctrl::Remove(opened.state.resctrl);
    opened.state.resctrl = {};
    (void)opened.directory.WriteState(opened.state);
  });
  TRY(opened.directory.WriteState(state));
  return AttachAll(state);
}

}  // namespace

Result<> Update(const Settings& settings, const std::string& id, const oci::Resources& resources,
                const oci::IntelRdt& rdt) {
  Opened opened = TRY(OpenContainer(settings, id, true));
  TRY(MayBeSaid(Command::kUpdate, opened.status, id));
  if (opened.state.cgroups.empty()) {
    return std::unexpected(Failure("the container was created without cgroups: it has no limits to update", ENOTSUP));
  }
  const oci::Annotations annotations = TRY(oci::ParseAnnotations(opened.state.annotations));
  if (annotations.mode == oci::Mode::kProduction) {
    TRY(plan::CheckProductionUpdate(resources));
  }
  Rollback rollback;
  if (!rdt.l3_cache_schema.empty() || !rdt.mem_bw_schema.empty()) {
    TRY(UpdateResctrl(opened, rdt, rollback));
  }
  std::vector<std::string> warnings;
  const cgroup::Host host = TRY(cgroup::ReadHost());
  TRY(UpdateUnit(opened.state, host, resources));
  TRY(cgroup::Update(host, opened.state.cgroups, resources, warnings));
  for (const std::string& warning : warnings) {
    settings.warn(warning);
  }
  rollback.Commit();
  return {};
}

}  // namespace nucleus::container
