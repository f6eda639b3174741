#include "front/service/health_monitor.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <ctime>

#include "front/service/log_format.h"
#include "runtime/sys/syscalls.h"
#include "shim/cli/telemetry.h"

namespace nucleus::front {
namespace {

constexpr int kSignalBase = 128;
// Between asking a check to end and ending it.
constexpr int kGraceMs = 2000;
constexpr std::size_t kMaxPidFile = 64;

// The process of the check inside: `nucleus exec` has not waited for it as long as that runs itself.
void KillInside(const std::string& pid_file, int exec_pidfd) {
  const std::string text = ReadFile(pid_file, kMaxPidFile).value_or("");
  pid_t pid = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), pid).ec != std::errc{} || pid <= 1) {
    return;
  }
  const Result<Fd> process = sys::PidfdOpen(pid);
  const Result<bool> ended = sys::PidfdWait(exec_pidfd, 0);
  if (process && ended && !*ended) {
    (void)sys::PidfdSendSignal(process->get(), SIGKILL);
  }
}

}  // namespace

std::int64_t MonotonicMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

std::string TimeNow() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return FormatTime(now);
}

HealthMonitor::HealthMonitor(Globals globals, std::string id, HealthOptions options, std::string pid_file)
    : globals_(std::move(globals)),
      id_(std::move(id)),
      options_(options),
      pid_file_(std::move(pid_file)),
      tracker_(std::move(options)) {
}

HealthMonitor::~HealthMonitor() {
  End();
}

void HealthMonitor::Begin() {
  active_ = !options_.command.empty();
  tracker_.Begin(MonotonicMs());
}

void HealthMonitor::End() {
  active_ = false;
  if (running()) {
    KillInside(pid_file_, check_.pidfd.get());
    (void)sys::PidfdSendSignal(check_.pidfd.get(), SIGKILL);
    (void)WaitFor(check_);
    output_.Reset();
  }
  ::unlink(pid_file_.c_str());
}

void HealthMonitor::AddTo(std::vector<pollfd>& entries) const {
  if (running()) {
    entries.push_back({.fd = check_.pidfd.get(), .events = POLLIN, .revents = 0});
    entries.push_back({.fd = output_.get(), .events = POLLIN, .revents = 0});
  }
}

std::int64_t HealthMonitor::deadline_ms() const {
  return !active_ ? 0 : running() ? late_ms_ : tracker_.next_ms();
}

Result<> HealthMonitor::Start() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  output_ = Fd{ends[0]};
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  const Fd write{ends[1]};
  Words words = {"exec", "--pid-file", pid_file_, id_};
  words.insert(words.end(), options_.command.begin(), options_.command.end());
  result_ = HealthResult{.start = TimeNow(), .end = {}, .exit_code = 0, .output = {}};
  forced_ = 0;
  late_ms_ = MonotonicMs() + options_.timeout_ms;
  ::unlink(pid_file_.c_str());
  check_ = TRY(StartNucleus(globals_, words, [&] {
    shim::telemetry::Silence();
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return null >= 0 && ::dup2(null, 0) == 0 && ::dup2(write.get(), 1) == 1 && ::dup2(write.get(), 2) == 2;
  }));
  return {};
}

void HealthMonitor::ReadOutput() {
  std::array<char, 4096> buffer{};
  // What a check says for ever is not read for ever: the rest is for the next round.
  constexpr int kRounds = 64;
  for (int i = 0; output_ && i < kRounds; ++i) {
    const ssize_t count = ::read(output_.get(), buffer.data(), buffer.size());
    if (count == 0) {
      output_.Reset();
    }
    if (count <= 0) {
      return;
    }
    const std::size_t room = kMostHealthOutput - result_.output.size();
    result_.output.append(buffer.data(), std::min(room, static_cast<std::size_t>(count)));
  }
}

void HealthMonitor::TooLate() {
  if (forced_ == 0) {
    (void)sys::PidfdSendSignal(check_.pidfd.get(), SIGTERM);
  } else if (forced_ == 1) {
    KillInside(pid_file_, check_.pidfd.get());
  } else {
    (void)sys::PidfdSendSignal(check_.pidfd.get(), SIGKILL);
  }
  ++forced_;
  late_ms_ = MonotonicMs() + kGraceMs;
}

bool HealthMonitor::Step(bool& changed) {
  changed = false;
  if (!active_) {
    return false;
  }
  const std::int64_t now = MonotonicMs();
  if (!running()) {
    if (now < tracker_.next_ms()) {
      return false;
    }
    if (const Result<> started = Start(); !started) {
      result_.output = started.error().message;
      result_.exit_code = -1;
      result_.end = TimeNow();
      changed = tracker_.Record(now, std::move(result_));
      return true;
    }
    return false;
  }
  ReadOutput();
  const Result<bool> ended = sys::PidfdWait(check_.pidfd.get(), 0);
  if (!ended || !*ended) {
    if (now >= late_ms_) {
      TooLate();
    }
    return false;
  }
  ReadOutput();
  const int status = WaitFor(check_).value_or(-1);
  output_.Reset();
  result_.end = TimeNow();
  result_.exit_code = forced_ != 0 ? -1 : WIFSIGNALED(status) ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
  if (forced_ != 0) {
    result_.output += "\nended: it took longer than " + std::to_string(options_.timeout_ms) + " ms";
  }
  changed = tracker_.Record(MonotonicMs(), std::move(result_));
  return true;
}

}  // namespace nucleus::front
