// The mode table: what the failure of a stage means in each mode. One table for all modes, so that a test can walk its
// cells (docs/modes.md explains them). What a mode asks for beyond that stands in runtime/plan/mode.h.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "oci-config/annotations.h"

namespace nucleus::policies {

// What can fail, or be absent on a host, while a container is being made.
enum class Stage {
  kNamespaces,
  kUserNamespace,
  kNoNewPrivileges,
  kCapabilities,
  kSeccomp,
  kLandlock,
  kCgroup,
  kRootfs,
  kPins,
  kEgress,
  kHostNetwork,
  kSeccompTrace,
  kMaskedPaths,
  kMountAudit,
  kInit,
};

enum class OnFailure {
  kError,  // the container is not made, or does not start
  kWarn,   // it starts without, and the state and the events say so
};

struct StageRow {
  Stage stage;
  std::string_view name;  // as state, events and messages name it
  OnFailure plain;
  OnFailure agent;
  OnFailure strict_agent;
  OnFailure production;
};

inline constexpr auto kStages = std::to_array<StageRow>({
    {Stage::kNamespaces, "namespaces", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
    {Stage::kUserNamespace, "user-namespace", OnFailure::kError, OnFailure::kError, OnFailure::kError,
     OnFailure::kError},
    {Stage::kNoNewPrivileges, "no-new-privileges", OnFailure::kError, OnFailure::kError, OnFailure::kError,
     OnFailure::kError},
    {Stage::kCapabilities, "capabilities", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
    {Stage::kSeccomp, "seccomp", OnFailure::kError, OnFailure::kWarn, OnFailure::kError, OnFailure::kError},
    {Stage::kLandlock, "landlock", OnFailure::kError, OnFailure::kWarn, OnFailure::kError, OnFailure::kError},
    {Stage::kCgroup, "cgroup", OnFailure::kError, OnFailure::kWarn, OnFailure::kError, OnFailure::kError},
    {Stage::kRootfs, "rootfs", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
    {Stage::kPins, "pins", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
    {Stage::kEgress, "egress", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
    {Stage::kHostNetwork, "host-network", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
    {Stage::kSeccompTrace, "seccomp-trace", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
    {Stage::kMaskedPaths, "masked-paths", OnFailure::kError, OnFailure::kWarn, OnFailure::kError, OnFailure::kError},
    {Stage::kMountAudit, "mount-audit", OnFailure::kError, OnFailure::kWarn, OnFailure::kError, OnFailure::kError},
    {Stage::kInit, "init", OnFailure::kError, OnFailure::kError, OnFailure::kError, OnFailure::kError},
});

constexpr const StageRow& Row(Stage stage) {
  return kStages[static_cast<std::size_t>(stage)];
}

constexpr bool MayDegrade(std::optional<oci::Mode> mode, Stage stage) {
  const StageRow& row = Row(stage);
  if (!mode) {
    return row.plain == OnFailure::kWarn;
  }
  switch (*mode) {
    case oci::Mode::kAgent:
      return row.agent == OnFailure::kWarn;
    case oci::Mode::kStrictAgent:
      return row.strict_agent == OnFailure::kWarn;
    case oci::Mode::kProduction:
      break;
  }
  return row.production == OnFailure::kWarn;
}

}  // namespace nucleus::policies
