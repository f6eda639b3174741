// What nucleus and runsc agree on for one sandbox: names, files, flags; and what is checked before there is one.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/container/bundle.h"
#include "runtime/container/container.h"
#include "runtime/container/state_dir.h"
#include "runtime/plan/plan.h"
#include "shim/gvisor/differences.h"
#include "shim/gvisor/runsc.h"

namespace nucleus::gvisor {

// Below the gvisor directory of the container's state.
inline constexpr const char* kBundle = "bundle";  // the derived one
inline constexpr const char* kRoot = "root";      // runsc's own state
inline constexpr const char* kPidFile = "pid";
inline constexpr const char* kLog = "log";

// runsc's name for the sandbox: its control socket is in the host's name space of abstract sockets, whatever the root.
std::string SandboxId(const std::string& directory, const std::string& created);

// Before each of runsc's commands. `directory`: of the container's state.
std::vector<std::string> SandboxFlags(const oci::Annotations& annotations, const plan::Plan& plan,
                                      const Abilities& abilities, const std::string& directory);

// Does runsc drive a stack of its own on the links of a namespace?
bool HasStack(const oci::State& state);

// Before anything else: whoever is to make the cgroups.
Result<> CheckManager(const container::Settings& settings);

// What a caller has to be and to have for a sandbox of gVisor.
Result<> CheckCaller(const container::Settings& settings, const plan::Host& host, const plan::Plan& plan);

// The ids of a process in a user namespace: the kernel refuses those without a mapping, gVisor takes any number.
Result<> CheckMapped(const std::vector<oci::IdMapping>& uids, const std::vector<oci::IdMapping>& gids,
                     const confine::Confinement& confinement);

// All that is different, weighed already: an error where the container cannot do without.
struct Checked {
  std::vector<oci::Degradation> degradations;  // what it goes on without
  std::vector<Difference> seen;                // what it may see, and nothing more
};
Result<Checked> CheckBundle(const container::Bundle& bundle, const plan::Plan& plan, const Runsc& runsc,
                            const container::CreateOptions& options);

// Those that are not set stay as this process's are, as for any container: runsc's own would be others.
void FillLimits(std::vector<oci::Rlimit>& limits);

// A new file, below `directory`.
Result<> WriteNew(int directory, const std::string& name, std::string_view text);

// The last error in a log of runsc's, below the state directory; `otherwise` where there is none.
std::string ErrorIn(const container::StateDir& directory, const std::string& log, const std::string& otherwise);

}  // namespace nucleus::gvisor
