// What a bundle asks for and gVisor does not carry out as the kernel would: found before anything is made, and told by
// explain beforehand. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "oci-config/annotations.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"
#include "runtime/plan/plan.h"
#include "shim/gvisor/runsc.h"

namespace nucleus::gvisor {

enum class Weight {
  kSeen,   // a program may see it, and nothing that was asked for is missing: told beforehand, never an error
  kMinor,  // what callers ask for by default: without a mode it is recorded, and the container runs
  kMajor,  // somebody relies on it: without a mode it is an error
};

// The heavier ones are errors in strict-agent and production, as the lighter are; in agent mode both are recorded.
struct Difference {
  std::string stage;  // as state and events name it
  std::string key;    // of config.json or the annotations: "linux.timeOffsets"
  std::string reason;
  Weight weight = Weight::kMajor;
};

struct Request {
  const oci::Spec* spec = nullptr;  // the bundle's
  const plan::Plan* plan = nullptr;
  const oci::Annotations* annotations = nullptr;
  bool landlock_policy = false;  // one that the annotations name, not what a mode derives from the mounts
  int preserve_fds = 0;
  bool listen_fds = false;  // LISTEN_FDS is among the process's variables
  bool keyring = true;      // a new one is asked for, as it is by default
};

std::vector<Difference> FindDifferences(const Request& request, const Abilities& abilities);

// Of a process alone: init, or one of exec.
std::vector<Difference> FindProcessDifferences(const oci::Process& process, const confine::Confinement& confinement);

// Those that the container can do without; the first that it cannot, as an error.
Result<std::vector<oci::Degradation>> Weigh(const std::vector<Difference>& differences, std::optional<oci::Mode> mode);

// The filter for runsc: that of config.json or of the policy. Null: none.
const oci::Seccomp* FilterOf(const plan::Plan& plan);

}  // namespace nucleus::gvisor
