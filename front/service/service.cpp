#include "front/service/service.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "front/service/control.h"
#include "front/service/supervisor.h"
#include "runtime/sys/syscalls.h"
#include "runtime/systemd/client.h"
#include "runtime/systemd/property.h"
#include "shim/cli/log.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxWord = std::size_t{64} << 10;
// What systemd waits between asking a supervisor to end and killing it, beyond the service's own time: for what is
// written back.
constexpr std::uint64_t kMarginUs = 60'000'000;

std::string UnitOf(const std::string& id) {
  // systemd.unit(5) has a plus in no name.
  std::string name;
  for (const char c : id) {
    name += c == '+' ? std::string{"\\x2b"} : std::string(1, c);
  }
  return "nucleus-" + name + ".scope";
}

bool SystemdRuns(bool user) {
  // Who is a service's main process stays in it (systemd.exec(5)); what a service's processes start is no part of it.
  const char* main = std::getenv("SYSTEMD_EXEC_PID");
  return std::getenv("NOTIFY_SOCKET") == nullptr && (main == nullptr || main != std::to_string(::getpid())) &&
         systemd::CheckRunning(user).has_value();
}

Result<> IntoScope(const ServiceSpec& spec, pid_t pid, bool user) {
  systemd::Request request{
      .operation = systemd::Operation::kStart, .user = user, .unit = UnitOf(spec.id), .properties = {}};
  request.properties.push_back(systemd::Text("Description", "nucleus " + spec.id));
  request.properties.push_back(systemd::Text("CollectMode", "inactive-or-failed"));
  request.properties.push_back(
      systemd::Number("TimeoutStopUSec", static_cast<std::uint64_t>(spec.stop_timeout_ms) * 1000 + kMarginUs));
  request.properties.push_back({.name = "PIDs", .signature = "au", .items = {std::to_string(pid)}});
  return systemd::Ask(request);
}

// The caller's streams and descriptors that this program was executed with; its own are all close-on-exec. Of the
// caller's nothing is held that somebody reads to its end, but for the event stream, which `nucleus run` writes to.
void LetGoOfTheCaller(int events) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; null >= 0 && fd <= 2; ++fd) {
    ::dup2(null, fd);
  }
  ::close(null);
  const std::unique_ptr<DIR, int (*)(DIR*)> open{::opendir("/proc/self/fd"), ::closedir};
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {  // NOLINT(concurrency-mt-unsafe): one thread
    const int fd = std::atoi(entry->d_name);                              // "." and ".." are 0
    const int flags = fd > 2 && fd != events ? ::fcntl(fd, F_GETFD) : FD_CLOEXEC;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) {
      ::close(fd);
    }
  }
}

// The new process's side. `go` is closed, or says "g", by the caller; `word` gets "s", or an error's text.
[[noreturn]] void Detached(const Globals& globals, const ServiceSpec& spec, const ServiceHooks& hooks, Fd go, Fd word) {
  ::setsid();
  char letter = 0;
  while (::read(go.get(), &letter, 1) < 0 && errno == EINTR) {
  }
  go.Reset();
  if (letter != 'g') {
    ::_exit(1);
  }
  bool told = false;
  const Result<int> status = RunService(globals, spec, hooks, [&] {
    told = true;
    const bool taken = ::write(word.get(), "s", 1) == 1;
    word.Reset();
    LetGoOfTheCaller(globals.EventsFd());
    return taken;
  });
  if (!told && !status) {
    (void)WriteAll(word.get(), "e" + status.error().message, "");
  }
  ::_exit(status.value_or(1));
}

}  // namespace

Result<> StartService(const Globals& globals, const ServiceSpec& spec, const ServiceHooks& hooks) {
  std::array<int, 2> ends{};
  std::array<int, 2> go_ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  Fd read{ends[0]};
  Fd word{ends[1]};
  if (::pipe2(go_ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  Fd go{go_ends[0]};
  Fd say_go{go_ends[1]};
  Child supervisor;
  supervisor.pid = TRY(sys::Clone3({.pidfd = &supervisor.pidfd}));
  if (supervisor.pid == 0) {
    read.Reset();
    say_go.Reset();
    Detached(globals, spec, hooks, std::move(go), std::move(word));
  }
  word.Reset();
  go.Reset();
  const bool user = ::geteuid() != 0;
  if (SystemdRuns(user)) {
    if (const Result<> moved = IntoScope(spec, supervisor.pid, user); !moved) {
      shim::Log(shim::Level::kWarning, "not in a unit of systemd's: " + moved.error().message);
    }
  }
  TRY(WriteAll(say_go.get(), "g", ""));
  const std::string said = TRY(ReadAll(read.get(), kMaxWord, "supervisor"));
  if (said == "s") {
    return {};
  }
  (void)WaitFor(supervisor);
  return std::unexpected(Failure(said.size() > 1 ? said.substr(1) : "its supervisor has ended without a word"));
}

Result<> StopService(const Globals& globals, const std::string& id, const StopOptions& options) {
  ServiceStatus status = TRY(ReadService(globals, id));
  const bool was_over = status.Over();
  if (!was_over) {
    // Without a socket it is about to end, or not there yet.
    const Result<Fd> socket = ConnectSupervisor(globals, id);
    if (socket) {
      (void)Send(socket->get(), Word::kStop, std::to_string(options.timeout_ms));
    }
    const Result<Fd> supervisor = sys::PidfdOpen(status.supervisor);
    if (supervisor && status.Supervised()) {
      TRY(sys::PidfdWait(supervisor->get(), -1));
    }
    status = TRY(ReadService(globals, id));
  }
  if (status.phase != Phase::kEnded) {
    TRY(RunQuietly(globals, {"delete", "--force", id}));
  }
  if (!status.error.empty() && !was_over) {
    return std::unexpected(Failure(id + ": " + status.error));
  }
  return options.keep_log ? Result<>{} : ForgetService(globals, id);
}

}  // namespace nucleus::front
