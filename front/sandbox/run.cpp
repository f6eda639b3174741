#include "front/sandbox/run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>

#include "front/sandbox/bundle.h"
#include "front/sandbox/detach.h"
#include "front/sandbox/lifetime.h"
#include "front/sandbox/tree.h"
#include "front/service/health_monitor.h"
#include "front/service/notify.h"
#include "front/service/record.h"
#include "front/service/supervisor.h"
#include "runtime/sys/syscalls.h"
#include "shim/cli/log.h"
#include "shim/cli/telemetry.h"

namespace nucleus::front {
namespace {

constexpr int kTimedOut = 124;  // as timeout(1) has it
constexpr int kSignalBase = 128;
// After --timeout's SIGTERM.
constexpr int kGraceMs = 5000;

bool HasTerminal(const SandboxOptions& options) {
  return !options.no_terminal && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

void WarnOf(const Result<>& result) {
  if (!result) {
    shim::Log(shim::Level::kWarning, result.error().message);
  }
}

// What is asked for beyond waiting: health, and a service manager that wants to know. Usually neither is.
class Attendance {
 public:
  Attendance(const Globals& globals, const SandboxOptions& options, const Sandbox& sandbox)
      : globals_(globals), id_(sandbox.id()), notifier_(Notifier::Take()) {
    if (!options.health.command.empty()) {
      health_ = std::make_unique<HealthMonitor>(globals, id_, options.health, sandbox.directory() + "/health.pid");
      look_ms_ = MonotonicMs();
    } else {
      // The workload says itself that it is ready, to `nucleus run`, for which this process speaks.
      WarnOf(notifier_.Listen(sandbox.directory()));
    }
  }

  [[nodiscard]] const std::string& proxy() const {
    return notifier_.proxy();
  }

  void AddTo(std::vector<pollfd>& entries) const {
    if (notifier_.fd() >= 0) {
      entries.push_back({.fd = notifier_.fd(), .events = POLLIN, .revents = 0});
    }
    if (health_) {
      health_->AddTo(entries);
    }
  }

  [[nodiscard]] std::int64_t deadline_ms() const {
    return look_ms_ != 0 ? look_ms_ : health_ ? health_->deadline_ms() : 0;
  }

  void Step() {
    if (notifier_.fd() >= 0) {
      WarnOf(notifier_.PassOn());
    }
    if (look_ms_ != 0 && MonotonicMs() >= look_ms_) {
      constexpr int kLookMs = 5;
      look_ms_ = WorkloadRuns(globals_, id_) ? 0 : MonotonicMs() + kLookMs;
      if (look_ms_ == 0) {
        health_->Begin();
        TellState(globals_, id_, Health::kStarting);
      }
    }
    bool changed = false;
    if (health_ && health_->Step(changed) && changed) {
      const Health health = health_->tracker().health();
      TellState(globals_, id_, health);
      if (health == Health::kHealthy && !ready_) {
        ready_ = true;
        WarnOf(notifier_.Tell("READY=1\nMAINPID=" + std::to_string(::getpid()) + "\n"));
      }
    }
  }

  void Stopping() {
    WarnOf(notifier_.Tell("STOPPING=1\n"));
  }

 private:
  const Globals& globals_;
  std::string id_;
  Notifier notifier_;
  std::unique_ptr<HealthMonitor> health_;
  std::int64_t look_ms_ = 0;  // when to look whether it runs; 0: it does, or nobody wants to know
  bool ready_ = false;
};

// What is sent to this process goes on to `nucleus run`, and from there to the command. What the terminal sends, it
// sends to both. True where one of them asks to end.
bool PassOn(int signals, int runner) {
  bool end = false;
  signalfd_siginfo info{};
  while (::read(signals, &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    end = end || signal == SIGTERM || signal == SIGINT;
    if (signal != SIGCHLD && info.ssi_code != SI_KERNEL) {
      (void)sys::PidfdSendSignal(runner, signal);
    }
  }
  return end;
}

struct Outcome {
  int wait_status = 0;
  bool timed_out = false;
};

Result<Outcome> Accompany(const Globals& globals, const SandboxOptions& options, const std::string& id, int signals,
                          Child& runner, Attendance& attendance) {
  Outcome outcome;
  // --timeout ends it in three steps: SIGTERM, SIGKILL to the container, SIGKILL to who makes one.
  int steps = 0;
  std::int64_t next = options.timeout_ms > 0 ? MonotonicMs() + options.timeout_ms : 0;
  for (;;) {
    std::vector<pollfd> entries = {{.fd = signals, .events = POLLIN, .revents = 0},
                                   {.fd = runner.pidfd.get(), .events = POLLIN, .revents = 0}};
    attendance.AddTo(entries);
    std::int64_t until = attendance.deadline_ms();
    until = until == 0 || (next != 0 && next < until) ? next : until;
    const int wait = until == 0 ? -1 : static_cast<int>(std::max<std::int64_t>(0, until - MonotonicMs()));
    if (::poll(entries.data(), entries.size(), wait) < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    attendance.Step();
    if (entries[1].revents != 0) {
      outcome.wait_status = TRY(WaitFor(runner));
      return outcome;
    }
    if (entries[0].revents != 0 && PassOn(signals, runner.pidfd.get())) {
      attendance.Stopping();
    }
    if (next == 0 || MonotonicMs() < next) {
      continue;
    }
    outcome.timed_out = true;
    next = MonotonicMs() + kGraceMs;
    if (steps == 0) {
      attendance.Stopping();
      (void)sys::PidfdSendSignal(runner.pidfd.get(), SIGTERM);
    } else if (steps == 1) {
      TRY(RunQuietly(globals, {"kill", id, "KILL"}));
    } else {
      (void)sys::PidfdSendSignal(runner.pidfd.get(), SIGKILL);
    }
    ++steps;
  }
}

Result<int> PrintBundle(const SandboxOptions& options, const Ids& ids) {
  const std::string& path = options.print_bundle;
  if (!options.workspace.empty() && options.workspace_mode == WorkspaceMode::kCopy) {
    return std::unexpected(Failure(
        "--print-bundle: a workspace is copied and written back by `sandbox`, not by a bundle: DIR:rw or DIR:ro",
        EINVAL));
  }
  constexpr mode_t kMode = 0711;
  const bool made = ::mkdir(path.c_str(), kMode) == 0;
  if (!made && errno != EEXIST) {
    return std::unexpected(SysError("--print-bundle: mkdir", path));
  }
  // Of a directory that was there nothing is ever removed: what is in the way is an error of its own.
  if (!made && ::rmdir(path.c_str()) != 0) {
    return std::unexpected(SysError("--print-bundle", path));
  }
  if (!made && ::mkdir(path.c_str(), kMode) != 0) {
    return std::unexpected(SysError("--print-bundle: mkdir", path));
  }
  if (Result<> written =
          WriteBundle(options, ids, {.path = path, .printed = true, .terminal = HasTerminal(options), .workspace = {}});
      !written) {
    (void)RemoveTree(path);
    return std::unexpected(written.error());
  }
  return 0;
}

Result<int> RunInForeground(const Globals& globals, const SandboxOptions& options, Sandbox& sandbox) {
  shim::telemetry::Stage("prepare");
  TRY(sandbox.Prepare(HasTerminal(options)));
  const Fd signals = TRY(SupervisorSignals());
  Attendance attendance{globals, options, sandbox};
  const pid_t self = ::getpid();
  shim::telemetry::Stage("process");
  Child runner = TRY(StartNucleus(globals, sandbox.RunnersWords(), [&] {
    return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == self && sandbox.Tell(::getpid()) &&
           (attendance.proxy().empty() || ::setenv("NOTIFY_SOCKET", attendance.proxy().c_str(), 1) == 0);
  }));
  const Outcome outcome = TRY(Accompany(globals, options, sandbox.id(), signals.get(), runner, attendance));
  if (WIFSIGNALED(outcome.wait_status)) {
    TRY(RunQuietly(globals, {"delete", "--force", sandbox.id()}));
  }
  shim::telemetry::Stage("return");
  TRY(sandbox.Return([](const std::string& message) { shim::Log(shim::Level::kWarning, message); }));
  if (outcome.timed_out) {
    shim::Log(shim::Level::kError, "sandbox: ended by --timeout");
    return kTimedOut;
  }
  return WIFSIGNALED(outcome.wait_status) ? kSignalBase + WTERMSIG(outcome.wait_status)
                                          : WEXITSTATUS(outcome.wait_status);
}

// Options that mean something with another one alone.
Result<> CheckTogether(const SandboxOptions& options) {
  const auto needs_detach = [&](bool given, const char* name) -> Result<> {
    return given && !options.detach ? std::unexpected(Failure(std::string{name} + ": only with --detach", EINVAL))
                                    : Result<>{};
  };
  TRY(needs_detach(options.terminal, "--terminal"));
  TRY(needs_detach(options.interactive, "--interactive"));
  TRY(needs_detach(options.restart != Restart::kNo, "--restart"));
  if (options.detach && !options.print_bundle.empty()) {
    return std::unexpected(Failure("--detach excludes --print-bundle", EINVAL));
  }
  if (options.restart != Restart::kNo && !options.learn.empty()) {
    return std::unexpected(Failure("--restart excludes --learn", EINVAL));
  }
  return {};
}

}  // namespace

Result<int> RunSandbox(const Globals& globals, const SandboxOptions& options) {
  TRY(CheckTogether(options));
  const Ids ids = TRY(ChooseIds(options.user));
  if (!options.print_bundle.empty()) {
    return PrintBundle(options, ids);
  }
  shim::telemetry::Begin("sandbox");
  shim::telemetry::PassOn();
  if (options.detach) {
    return DetachSandbox(globals, options, ids);
  }
  Sandbox sandbox = TRY(Sandbox::Plan(globals, options, ids));
  shim::telemetry::NoteContainer(sandbox.id(), "");
  const Result<int> status = RunInForeground(globals, options, sandbox);
  const Result<> removed = sandbox.Remove();
  if (!removed && status) {
    return std::unexpected(removed.error());
  }
  return status;
}

}  // namespace nucleus::front
