// events: what a container uses, and when a process of it is killed for want of memory.

#include <poll.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "runtime/container/container.h"
#include "runtime/container/query.h"

namespace nucleus::container {
namespace {

std::int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

Result<Opened> OpenRunning(const Settings& settings, const std::string& id) {
  Opened opened = TRY(OpenContainer(settings, id, false));
  if (opened.status == Status::kStopped || opened.status == Status::kCreating) {
    return std::unexpected(Failure("container with id " + id + " is not running", ESRCH));
  }
  return opened;
}

}  // namespace

Result<cgroup::Stats> ReadStats(const Settings& settings, const std::string& id) {
  const Opened opened = TRY(OpenRunning(settings, id));
  return cgroup::ReadStats(opened.state.cgroups);
}

Result<> WatchEvents(const Settings& settings, const std::string& id, int interval_ms,
                     const std::function<Result<>(const cgroup::Stats&)>& on_stats,
                     const std::function<Result<>()>& on_oom) {
  const Opened opened = TRY(OpenRunning(settings, id));
  const Fd init = TRY(OpenInit(opened.state));
  std::optional<cgroup::OomWatch> oom = TRY(cgroup::OomWatch::Make(opened.state.cgroups));
  std::int64_t next = NowMs() + interval_ms;
  for (;;) {
    std::array<pollfd, 2> entries{
        {{.fd = init.get(), .events = POLLIN, .revents = 0},
         {.fd = oom ? oom->fd() : -1, .events = oom ? oom->events() : short{0}, .revents = 0}}};
    const std::int64_t wait = std::max<std::int64_t>(next - NowMs(), 0);
    if (::poll(entries.data(), entries.size(), static_cast<int>(wait)) < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    // First, so that the kill that ended the container is told.
    if (oom && entries[1].revents != 0 && oom->Take()) {
      TRY(on_oom());
    }
    if (entries[0].revents != 0) {
      return {};
    }
    if (NowMs() >= next) {
      const cgroup::Stats stats = TRY(cgroup::ReadStats(opened.state.cgroups));
      TRY(on_stats(stats));
      next += interval_ms;
    }
  }
}

}  // namespace nucleus::container
