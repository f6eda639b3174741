// Freezing, listing and killing what is in the container's cgroups.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/walk.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

// The v1 freezer may stay FREEZING while processes fork; it is thawed and frozen again now and then, for two seconds.
constexpr int kFreezeTries = 200;
constexpr useconds_t kFreezePauseUs = 10000;
constexpr int kFreezeWaitMs = 2000;
// SIGKILL is final, but a process may be on its way out of the kernel for a while.
constexpr int kKillTries = 500;
constexpr useconds_t kKillPauseUs = 10000;

Result<> SetFreezerV1(const std::string& directory, bool frozen) {
  if (!frozen) {
    return Write(directory, "freezer.state", "THAWED");
  }
  for (int attempt = 0; attempt < kFreezeTries; ++attempt) {
    TRY(Write(directory, "freezer.state", "FROZEN"));
    const std::string state = TRY(Read(directory, "freezer.state"));
    if (state == "FROZEN") {
      return {};
    }
    constexpr int kThawEvery = 50;
    if (attempt % kThawEvery == kThawEvery - 1) {
      TRY(Write(directory, "freezer.state", "THAWED"));
    }
    ::usleep(kFreezePauseUs);
  }
  (void)Write(directory, "freezer.state", "THAWED");
  return std::unexpected(SysError("freeze", directory, EBUSY));
}

// cgroup.events raises POLLPRI when one of its values changes.
Result<> SetFreezerV2(const std::string& directory, bool frozen) {
  const Fd events = TRY(sys::Open(directory + "/cgroup.events", O_RDONLY));
  TRY(Write(directory, "cgroup.freeze", frozen ? "1" : "0"));
  const std::string_view wanted = frozen ? "frozen 1" : "frozen 0";
  for (int waited = 0; waited < 2; ++waited) {
    const std::string text = TRY(Read(directory, "cgroup.events"));
    if (text.find(wanted) != std::string::npos) {
      return {};
    }
    pollfd entry{.fd = events.get(), .events = POLLPRI, .revents = 0};
    char buffer[256];
    (void)!::pread(events.get(), buffer, sizeof buffer, 0);
    (void)::poll(&entry, 1, kFreezeWaitMs);
  }
  const std::string text = TRY(Read(directory, "cgroup.events"));
  if (text.find(wanted) != std::string::npos) {
    return {};
  }
  if (frozen) {
    (void)Write(directory, "cgroup.freeze", "0");
  }
  return std::unexpected(SysError(frozen ? "freeze" : "thaw", directory, EBUSY));
}

Result<> SetFrozen(const std::vector<oci::StateCgroup>& cgroups, bool frozen) {
  if (const std::string* freezer = DirectoryOf(cgroups, "freezer")) {
    return SetFreezerV1(*freezer, frozen);
  }
  if (const std::string* unified = DirectoryOf(cgroups, "")) {
    return SetFreezerV2(*unified, frozen);
  }
  return std::unexpected(Failure("no freezer: neither the v1 controller nor cgroup v2 is mounted", ENOTSUP));
}

// The hierarchy that is asked who belongs to the container: all have the same processes.
const std::string* AnyDirectory(const std::vector<oci::StateCgroup>& cgroups) {
  for (const char* controller : {"freezer", "devices", "pids", ""}) {
    if (const std::string* directory = DirectoryOf(cgroups, controller)) {
      return directory;
    }
  }
  return cgroups.empty() ? nullptr : &cgroups.front().path;
}

void AddPids(std::string_view text, std::vector<pid_t>& pids) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc{}) {
      break;
    }
    pids.push_back(pid);
    at = next + 1;
  }
}

Result<> Collect(const std::string& top, std::vector<pid_t>& pids) {
  const auto enter = [&pids, &top](int directory) -> Result<> {
    constexpr std::size_t kMax = std::size_t{64} << 20;
    const Result<Fd> file = sys::OpenAt2(directory, "cgroup.procs", O_RDONLY, RESOLVE_BENEATH);
    const Result<std::string> text = file ? ReadAll(file->get(), kMax, top) : std::unexpected(file.error());
    if (text) {
      AddPids(*text, pids);
      return {};
    }
    // Gone: then nobody is in it. A threaded cgroup does not say; its processes stand in the domain above.
    const int code = text.error().code;
    return code == ENOENT || code == ENODEV || code == EOPNOTSUPP ? Result<>{} : std::unexpected(text.error());
  };
  return Walk(top, enter, [](int, const std::string&) {});
}

}  // namespace

Result<> Freeze(const std::vector<oci::StateCgroup>& cgroups) {
  return SetFrozen(cgroups, true);
}

Result<> Thaw(const std::vector<oci::StateCgroup>& cgroups) {
  return SetFrozen(cgroups, false);
}

Result<bool> IsFrozen(const std::vector<oci::StateCgroup>& cgroups) {
  if (const std::string* freezer = DirectoryOf(cgroups, "freezer")) {
    const std::string state = TRY(Read(*freezer, "freezer.state"));
    return state == "FROZEN" || state == "FREEZING";
  }
  if (const std::string* unified = DirectoryOf(cgroups, "")) {
    return TRY(Read(*unified, "cgroup.freeze")) == "1";
  }
  return false;
}

Result<std::vector<pid_t>> Processes(const std::vector<oci::StateCgroup>& cgroups) {
  std::vector<pid_t> pids;
  if (const std::string* directory = AnyDirectory(cgroups)) {
    TRY(Collect(*directory, pids));
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

Result<> KillAll(const std::vector<oci::StateCgroup>& cgroups) {
  if (TRY(Processes(cgroups)).empty()) {
    return {};
  }
  const std::string* unified = DirectoryOf(cgroups, "");
  const bool at_once = unified != nullptr && Exists(*unified, "cgroup.kill") && Write(*unified, "cgroup.kill", "1");
  for (int attempt = 0; attempt < kKillTries; ++attempt) {
    const std::vector<pid_t> pids = TRY(Processes(cgroups));
    if (pids.empty()) {
      return {};
    }
    if (!at_once || attempt > 0) {
      // Frozen, none can fork away while the list is worked through; and none is signalled that was not on it.
      const bool frozen = SetFrozen(cgroups, true).has_value();
      for (const pid_t pid : TRY(Processes(cgroups))) {
        ::kill(pid, SIGKILL);
      }
      if (frozen) {
        TRY(SetFrozen(cgroups, false));
      }
    }
    ::usleep(kKillPauseUs);
  }
  return std::unexpected(Failure("container's cgroup is not empty", EBUSY));
}

Result<bool> WasOomKilled(const std::vector<oci::StateCgroup>& cgroups) {
  std::string text;
  if (const std::string* memory = DirectoryOf(cgroups, "memory")) {
    text = "\n" + TRY(Read(*memory, "memory.oom_control"));
  } else if (const std::string* unified = DirectoryOf(cgroups, "")) {
    text = "\n" + TRY(Read(*unified, "memory.events"));
  }
  const std::size_t at = text.find("\noom_kill ");
  return at != std::string::npos && text.substr(at + 10, 1) != "0";
}

}  // namespace nucleus::cgroup
