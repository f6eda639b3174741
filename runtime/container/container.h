// A container's life, as the commands of the shim ask for it. Each call is one command; the state between them is on
// disk. Errors carry the words that runc's callers match ("container does not exist", ...).
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"
#include "runtime/cgroup/stats.h"
#include "runtime/container/ready_proxy.h"

namespace nucleus::evidence {
class EventLog;
}

namespace nucleus::container {

struct Bundle;

enum class CgroupManager { kCgroupfs, kSystemd, kDisabled };

// What the options before the command say, and where warnings go.
struct Settings {
  std::string root;  // absolute, made when missing (0700)
  CgroupManager cgroup_manager = CgroupManager::kCgroupfs;
  void (*warn)(const std::string& message) = nullptr;  // never null once the shim has set it
  void (*stage)(const char* name) = nullptr;           // told when a command comes to its next stage; null: nobody asks
  // Of the service manager that waits for a container to be ready, as in NOTIFY_SOCKET; empty: nobody waits.
  std::string notify_socket;
  std::string credentials_directory;     // as in CREDENTIALS_DIRECTORY; empty: there is none
  evidence::EventLog* events = nullptr;  // of --events; null: nobody asked for any
};

inline void Enter(const Settings& settings, const char* stage) {
  if (settings.stage != nullptr) {
    settings.stage(stage);
  }
}

enum class Status { kCreating, kCreated, kRunning, kPaused, kStopped };
std::string_view StatusName(Status status);

// state.json and what a look at the process adds.
struct Snapshot {
  oci::State state;
  Status status = Status::kStopped;
};

// How the process's standard streams and terminal are wired.
struct IoOptions {
  std::string console_socket;  // path to connect to
  std::string pidfd_socket;    // path to send a pidfd to
  std::string pid_file;
  int preserve_fds = 0;     // fds 3 to 3+N-1 stay open
  bool foreground = false;  // the caller stays: a terminal's master comes back in Started instead of needing a socket
};

struct CreateOptions {
  std::string id;
  std::string bundle = ".";
  std::string config;         // path of config.json; empty: bundle/config.json
  std::string config_digest;  // sha256:HEX that it must have; empty: any
  bool no_pivot = false;
  bool no_new_keyring = false;
  std::string seccomp_trace;     // file for the trace of the system calls; empty: what the annotation says
  bool learn = false;            // the trace tells of files and connections too
  bool deleted_at_end = false;   // the caller waits for the end, and deletes the container then
  std::vector<std::string> env;  // appended to the process's: NAME=VALUE
  IoOptions io;
};

// A process that was just made. For create it waits before execve.
struct Launched {
  pid_t pid = 0;
  Fd pidfd;
  Fd console;                         // the terminal's master, when foreground and terminal
  std::unique_ptr<ReadyProxy> ready;  // of CreateAndStart, where a service manager waits; null: none
  std::function<void(int)> signal;    // how it is sent one; null: by the pidfd
};

struct ExecOptions {
  std::string id;
  std::string process_file;  // JSON; else the fields below on top of the container's own process
  std::vector<std::string> args;
  std::optional<std::string> cwd;
  std::vector<std::string> env;  // appended: NAME=VALUE
  std::optional<bool> terminal;
  std::optional<std::pair<std::uint32_t, std::optional<std::uint32_t>>> user;
  std::vector<std::uint32_t> additional_gids;
  std::vector<std::string>
      capabilities;  // added to bounding, effective, permitted (and ambient where inheritable has it)
  std::optional<bool> no_new_privileges;
  std::string selinux_label;
  std::string apparmor_profile;
  std::vector<std::string> cgroups;  // --cgroup values
  bool ignore_paused = false;
  bool detach = false;
  IoOptions io;
};

// ID charset [A-Za-z0-9_+.-]+, not "." or "..": "invalid container ID format".
Result<> ValidateId(std::string_view id);

// `bundle`: of OpenBundle (bundle.h), with these options.
Result<Launched> Create(const Settings& settings, const CreateOptions& options, Bundle bundle);
// With a service manager: returns once the container has said that it is ready, or has ended.
Result<> Start(const Settings& settings, const std::string& id);
// Both in one go; nothing is left of a container that cannot be started.
Result<Launched> CreateAndStart(const Settings& settings, const CreateOptions& options, Bundle bundle);
Result<Snapshot> Load(const Settings& settings, const std::string& id);
// All containers under the root, sorted by id; ones that vanish meanwhile are left out.
Result<std::vector<Snapshot>> List(const Settings& settings);
Result<> Kill(const Settings& settings, const std::string& id, int signal, bool all);
Result<> Delete(const Settings& settings, const std::string& id, bool force);
Result<Launched> Exec(const Settings& settings, const ExecOptions& options);
Result<> Pause(const Settings& settings, const std::string& id);
Result<> Resume(const Settings& settings, const std::string& id);
// New limits; device rules are not touched. "container not running" when it has ended. `rdt`: the two schemas, where
// they are set; a container without a group of its own gets one.
Result<> Update(const Settings& settings, const std::string& id, const oci::Resources& resources,
                const oci::IntelRdt& rdt);
Result<cgroup::Stats> ReadStats(const Settings& settings, const std::string& id);
// Calls `on_stats` every interval and `on_oom` for each process that is killed for want of memory, until the
// container's init has ended or a callback has failed.
Result<> WatchEvents(const Settings& settings, const std::string& id, int interval_ms,
                     const std::function<Result<>(const cgroup::Stats&)>& on_stats,
                     const std::function<Result<>()>& on_oom);
// One thing that a bundle pins, and what is wrong with it.
struct PinCheck {
  std::string
      name;         // "config.json", "seccomp", "capabilities", "landlock", "egress", "rootfs.manifest", "gvisor.runsc"
  std::string pin;  // PATH@sha256:HEX of what is there
  std::string error;  // empty: as pinned, and a policy without a mistake
};
// All of them, config.json first. An error where config.json itself cannot be read.
Result<std::vector<PinCheck>> VerifyPins(const std::string& bundle);

// Host pids of the container's processes.
Result<std::vector<pid_t>> Processes(const Settings& settings, const std::string& id);

}  // namespace nucleus::container
