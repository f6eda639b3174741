// state.json: what a container's commands know of it between each other. Small and versioned.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::oci {

inline constexpr int kStateVersion = 1;

// One cgroup of the container. `hierarchy` is as /proc/self/cgroup names it ("cpu,cpuacct", "name=systemd", "" for v2).
struct StateCgroup {
  std::string hierarchy;
  std::string path;      // the absolute directory
  bool created = false;  // made by create, hence removed by delete
};

// The container's group in resctrl (linux.intelRdt); `directory` empty: none.
struct StateResctrl {
  std::string directory;
  bool created = false;  // by create and for this container alone, hence removed by delete
  std::string monitor;   // the monitoring group, always the container's own
};

enum class Phase { kCreating, kCreated, kRunning };  // what was reached; stopped and paused are looked up

struct State {
  int version = kStateVersion;
  std::string oci_version;
  std::string id;
  Phase phase = Phase::kCreating;
  std::int32_t pid = 0;          // of the init, in the runtime's pid namespace; 0 while there is none
  std::uint64_t start_time = 0;  // field 22 of /proc/PID/stat: with the pid it names the process for ever
  std::string bundle;            // absolute
  std::string rootfs;            // absolute
  std::string created;           // RFC 3339 with nanoseconds, UTC
  std::uint32_t owner = 0;       // uid that created it
  bool keyring = true;           // it has a session keyring of its own, which `exec` joins
  bool systemd_cgroup = false;
  std::vector<StateCgroup> cgroups;
  StateResctrl resctrl;
  StringMap annotations;
};

Result<State> ParseState(std::string_view json, std::string_view name);
std::string FormatState(const State& state);

// The state of the runtime specification (hooks' stdin, seccomp agents): ociVersion, id, status, pid, bundle,
// annotations. `status` is one of the specification's words; pid is left out when 0.
std::string FormatOciState(const State& state, std::string_view status);

// The "container process state" that a seccomp agent gets with the listener's descriptor (config-linux.md, "seccomp").
std::string FormatContainerProcessState(const State& state, std::string_view status, std::int32_t pid,
                                        std::string_view metadata);

}  // namespace nucleus::oci
