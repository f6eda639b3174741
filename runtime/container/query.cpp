// What is known of a container: its state on disk, and a look at its process.

#include "runtime/container/query.h"

#include <dirent.h>

#include <algorithm>
#include <memory>

#include "runtime/container/container.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/tracing.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::kCreating:
      return "creating";
    case Status::kCreated:
      return "created";
    case Status::kRunning:
      return "running";
    case Status::kPaused:
      return "paused";
    case Status::kStopped:
      return "stopped";
  }
  return "stopped";
}

Result<> ValidateId(std::string_view id) {
  // One directory entry of the state root.
  constexpr std::size_t kMaxId = 255;
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
           c == '.' || c == '-';
  });
  if (id.empty() || id.size() > kMaxId || !plain || id == "." || id == "..") {
    return std::unexpected(Failure("invalid container ID format", EINVAL));
  }
  return {};
}

bool IsAlive(const oci::State& state) {
  if (state.pid <= 0) {
    return false;
  }
  const Result<sys::ProcessStat> stat = sys::ReadProcessStat(state.pid);
  return stat && stat->start_time == state.start_time && !stat->dead();
}

Result<Fd> OpenInit(const oci::State& state) {
  if (state.pid > 0) {
    Result<Fd> pidfd = sys::PidfdOpen(state.pid);
    // Checked after the pidfd is held: from then on the pid cannot come to name another process unseen.
    if (pidfd && IsAlive(state)) {
      return pidfd;
    }
  }
  return std::unexpected(Failure("container not running", ESRCH));
}

Result<Status> StatusOf(const oci::State& state) {
  const bool alive = IsAlive(state);
  const bool frozen = alive && state.phase != oci::Phase::kCreating && cgroup::IsFrozen(state.cgroups).value_or(false);
  return Judge(state, alive, frozen);
}

Result<Opened> OpenContainer(const Settings& settings, const std::string& id, bool lock) {
  TRY(ValidateId(id));
  StateDir directory = TRY(StateDir::Open(settings.root, id));
  if (lock) {
    FAULT_POINT("container.lock");
    TRY(directory.Lock());
  }
  oci::State state = TRY(directory.ReadState());
  const Status status = TRY(StatusOf(state));
  return Opened{.directory = std::move(directory), .state = std::move(state), .status = status};
}

Result<Snapshot> Load(const Settings& settings, const std::string& id) {
  Opened opened = TRY(OpenContainer(settings, id, false));
  if (std::optional<oci::Degradation> lost = LostTracer(opened.state)) {
    opened.state.degradations.push_back(std::move(*lost));
  }
  return Snapshot{.state = std::move(opened.state), .status = opened.status};
}

Result<std::vector<Snapshot>> List(const Settings& settings) {
  std::vector<Snapshot> containers;
  const std::unique_ptr<DIR, int (*)(DIR*)> root{::opendir(settings.root.c_str()), ::closedir};
  if (!root) {
    if (errno == ENOENT) {
      return containers;
    }
    return std::unexpected(SysError("open", settings.root));
  }
  while (const dirent* entry = ::readdir(root.get())) {
    if (!ValidateId(entry->d_name)) {
      continue;
    }
    Result<Snapshot> snapshot = Load(settings, entry->d_name);
    if (snapshot) {
      containers.push_back(std::move(*snapshot));
    } else if (snapshot.error().code != ENOENT && snapshot.error().code != ENOTDIR) {
      settings.warn("list " + std::string{entry->d_name} + ": " + snapshot.error().message);
    }
  }
  std::sort(containers.begin(), containers.end(),
            [](const Snapshot& a, const Snapshot& b) { return a.state.id < b.state.id; });
  return containers;
}

Result<std::vector<pid_t>> Processes(const Settings& settings, const std::string& id) {
  const Opened opened = TRY(OpenContainer(settings, id, false));
  if (opened.status == Status::kStopped) {
    return std::vector<pid_t>{};
  }
  if (opened.state.cgroups.empty()) {
    return std::vector<pid_t>{opened.state.pid};
  }
  return cgroup::Processes(opened.state.cgroups);
}

}  // namespace nucleus::container
