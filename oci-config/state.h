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

// The unit of systemd's that the container is in (the systemd cgroup driver); `unit` empty: none.
struct StateSystemd {
  std::string unit;
  std::string path;   // as cgroups below systemd's own: "/system.slice/nucleus-box.scope"
  bool user = false;  // the user's systemd, not the system's
  bool made = false;  // by create; false while that is under way
};

// The process that is told of the container's system calls (runtime/trace); `pid` 0: none.
struct StateTracer {
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;
  std::string file;  // the trace's, absolute
};

// What nucleus-net made for the container; `mode` empty: nothing.
struct StateNetwork {
  std::string mode;              // dev.nucleus.network
  bool filtered = false;         // rules are loaded
  std::string record;            // of the uplink, for taking it away again
  std::string joined;            // the network namespace's path, where it is not the container's own
  std::uint32_t generation = 0;  // of the policy
  std::int32_t pid = 0;          // of nucleus-net, where it stays; 0: it does not
  std::uint64_t start_time = 0;
};

// The gVisor sandbox that the container is (dev.nucleus.runtime); `id` empty: a native container.
struct StateGvisor {
  std::string id;            // runsc's own name for it
  std::string version;       // of runsc
  std::uint64_t device = 0;  // of runsc's file and its inode: what later commands execute must be the same
  std::uint64_t inode = 0;
  std::vector<std::string> flags;  // before each of runsc's commands
};

// A protection that was asked for and is not in force: only agent mode starts a container in spite of that.
struct Degradation {
  std::string stage;   // as policies/mode.h names it: "landlock"
  std::string reason;  // one line
};

enum class Phase { kCreating, kCreated, kRunning };  // what was reached; stopped and paused are looked up

struct State {
  int version = kStateVersion;
  std::string oci_version;
  std::string id;
  Phase phase = Phase::kCreating;
  // Of the init, in the runtime's pid namespace; 0 while there is none. With gVisor that is its sandbox.
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;  // field 22 of /proc/PID/stat: with the pid it names the process for ever
  std::string bundle;            // absolute
  std::string rootfs;            // absolute
  std::string created;           // RFC 3339 with nanoseconds, UTC
  std::uint32_t owner = 0;       // uid that created it
  bool init = false;             // the process of `pid` is nucleus-init, and the workload a child of it
  bool keyring = true;           // it has a session keyring of its own, which `exec` joins
  StateSystemd systemd;
  std::vector<StateCgroup> cgroups;
  StateResctrl resctrl;
  StateTracer tracer;
  StateNetwork network;
  StateGvisor gvisor;
  std::vector<Degradation> degradations;
  StringMap evidence;  // what was enforced, by the names of docs/evidence.md; empty where nobody asked
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
