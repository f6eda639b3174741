// Source: Documentation/admin-guide/cgroup-v1/memory.rst "OOM Control", cgroup-v2.rst "memory.events".

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "runtime/cgroup/files.h"
#include "runtime/cgroup/stats_read.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

// From memory.events as it is now; reading also clears the file's poll condition.
std::uint64_t Killed(int events) {
  std::array<char, 512> text{};
  const ssize_t size = ::pread(events, text.data(), text.size(), 0);
  for (const std::string_view line : Lines({text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))})) {
    const auto words = Words(line);
    if (words.size() == 2 && words[0] == "oom_kill") {
      return Number(words[1]);
    }
  }
  return 0;
}

}  // namespace

Result<std::optional<OomWatch>> OomWatch::Make(const std::vector<oci::StateCgroup>& cgroups) {
  OomWatch watch;
  if (const std::string* memory = DirectoryOf(cgroups, "memory")) {
    watch.fd_ = Fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!watch.fd_) {
      return std::unexpected(SysError("eventfd", ""));
    }
    watch.control_ = TRY(sys::Open(*memory + "/memory.oom_control", O_RDONLY));
    TRY(Write(*memory, "cgroup.event_control",
              std::to_string(watch.fd_.get()) + " " + std::to_string(watch.control_.get())));
    watch.directory_ = *memory;
    watch.events_ = POLLIN;
    return std::optional<OomWatch>{std::move(watch)};
  }
  const std::string* unified = DirectoryOf(cgroups, "");
  if (unified != nullptr && Exists(*unified, "memory.events")) {
    watch.fd_ = TRY(sys::Open(*unified + "/memory.events", O_RDONLY));
    watch.events_ = POLLPRI;
    watch.killed_ = Killed(watch.fd_.get());
    return std::optional<OomWatch>{std::move(watch)};
  }
  return std::optional<OomWatch>{};
}

bool OomWatch::Take() {
  if (control_) {
    std::uint64_t count = 0;
    // The kernel tells of the cgroup's removal through the same descriptor.
    return ::read(fd_.get(), &count, sizeof count) == sizeof count && Exists(directory_, "memory.oom_control");
  }
  const std::uint64_t killed = Killed(fd_.get());
  const bool more = killed > killed_;
  killed_ = killed;
  return more;
}

}  // namespace nucleus::cgroup
