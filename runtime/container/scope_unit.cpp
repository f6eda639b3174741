#include "runtime/container/scope_unit.h"

#include "runtime/container/query.h"
#include "runtime/systemd/client.h"

namespace nucleus::container {
namespace {

// A unit that create was killed over is there only with the init in it, and ends with the init. Any other of that name
// is somebody else's.
bool IsOurs(const oci::State& state) {
  return state.systemd.made ||
         (IsAlive(state) && (systemd::CgroupOf(state.pid, state.systemd.path, true).has_value() ||
                             systemd::CgroupOf(state.pid, state.systemd.path, false).has_value()));
}

}  // namespace

oci::StateSystemd PlannedUnit(const systemd::Scope& scope) {
  return {.unit = scope.unit, .path = scope.path, .user = scope.user, .made = false};
}

Result<std::string> StartUnit(const systemd::Scope& scope, bool unified, pid_t pid, oci::StateSystemd& state) {
  systemd::Request request{
      .operation = systemd::Operation::kStart, .user = scope.user, .unit = scope.unit, .properties = scope.properties};
  request.properties.push_back({.name = "PIDs", .signature = "au", .items = {std::to_string(pid)}});
  TRY(systemd::Ask(request));
  state.made = true;
  return systemd::CgroupOf(pid, scope.path, unified);
}

Result<> StopUnit(const oci::State& state) {
  if (state.systemd.unit.empty() || !IsOurs(state)) {
    return {};
  }
  return systemd::Ask({.operation = systemd::Operation::kStop,
                       .user = state.systemd.user,
                       .unit = state.systemd.unit,
                       .properties = {}});
}

Result<> UpdateUnit(const oci::State& state, const cgroup::Host& host, const oci::Resources& resources) {
  if (state.systemd.unit.empty()) {
    return {};
  }
  const oci::Resources whole = TRY(cgroup::WithCurrent(host, state.cgroups, resources));
  systemd::Request request{.operation = systemd::Operation::kSet,
                           .user = state.systemd.user,
                           .unit = state.systemd.unit,
                           .properties = TRY(systemd::ResourceProperties(whole, host.unified()))};
  if (request.properties.empty()) {
    return {};
  }
  const std::vector<cgroup::Kept> kept = cgroup::Keep(state.cgroups);
  TRY(systemd::Ask(request));
  return cgroup::PutBack(kept);
}

Result<> AttachToUnit(const oci::State& state, const std::vector<oci::StateCgroup>& cgroups, pid_t pid) {
  std::string below;
  for (const oci::StateCgroup& cgroup : cgroups) {
    if (cgroup.hierarchy.empty()) {
      const std::size_t unit = cgroup.path.find(state.systemd.path);
      below = unit == std::string::npos ? "" : cgroup.path.substr(unit + state.systemd.path.size());
    }
  }
  TRY(systemd::Ask({.operation = systemd::Operation::kAttach,
                    .user = state.systemd.user,
                    .unit = state.systemd.unit,
                    .properties = {{.name = "Subgroup", .signature = "s", .items = {below.empty() ? "/" : below}},
                                   {.name = "PIDs", .signature = "au", .items = {std::to_string(pid)}}}}));
  TRY(systemd::CgroupOf(pid, state.systemd.path + below, true));
  return {};
}

}  // namespace nucleus::container
