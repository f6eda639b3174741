// What of the host runsc's own processes can reach and call, whatever becomes of them: a Landlock domain and a seccomp
// filter that are there before runsc is, and are inherited by its sandbox and gofer, which add filters of their own.
//
// runsc mounts while it makes a sandbox, and a domain that has rules on files forbids every mount. So of files a
// sandbox is given a root of its own (stage.h), and a domain of TCP and scopes; a run of runsc that only asks a sandbox
// for something is given a domain of files. Any domain keeps what is in it from the memory, the files and the root of
// processes outside (/proc/PID/root, ptrace).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/annotations.h"
#include "oci-config/state.h"
#include "runtime/confine/confine.h"

namespace nucleus::gvisor {

inline constexpr const char* kHostLandlock = "gvisor.host-landlock";
inline constexpr const char* kHostSeccomp = "gvisor.host-seccomp";

enum class Part {
  kSandbox,  // makes a sandbox and becomes one
  kPlug,     // starts one and gives its stack the links of its namespace: no domain lets it look for that one
  kClient,   // asks one that is there
  kProbe,    // is asked about itself alone
};

struct Confinement {
  Part part = Part::kSandbox;
  std::optional<oci::Mode> mode;
  oci::GvisorNetwork network = oci::GvisorNetwork::kNone;
  std::string directory;  // of a client: its part of the container's state
  int landlock_abi = 0;   // of this kernel
  std::optional<confine::SeccompProgram> filter;
};

// Done by runsc's parent, which can take its time. What cannot be had is an error, or, in agent mode, in
// `degradations`.
Result<Confinement> MakeConfinement(Confinement request, std::vector<oci::Degradation>& degradations);

// In the process that becomes runsc, as the last thing but execve: `program` is runsc's file, `channel` hears of what
// agent mode goes on without (container::Tag::kDegraded).
Result<> Confine(const Confinement& confinement, int program, int channel);

// For state and events: what was done, where nothing of it is in `state.degradations`.
void TellConfinement(const Confinement& confinement, const oci::State& state, oci::StringMap& evidence);

}  // namespace nucleus::gvisor
