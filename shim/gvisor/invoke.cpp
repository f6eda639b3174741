#include "shim/gvisor/invoke.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>

#include "runtime/container/channel.h"
#include "runtime/container/child.h"
#include "runtime/container/degrade.h"
#include "runtime/container/process.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gvisor {
namespace {

constexpr std::size_t kMostOutput = std::size_t{1} << 20;
constexpr int kSignalBase = 128;

// Out of the way of the numbers that are given.
Result<int> Lift(int fd) {
  constexpr int kAbove = 10;
  const int lifted = ::fcntl(fd, F_DUPFD_CLOEXEC, kAbove);
  return lifted < 0 ? std::unexpected(SysError("dup", std::to_string(fd))) : Result<int>{lifted};
}

// Without this process nobody would see to it that it ends.
Result<> EndWith(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_PDEATHSIG"));
  }
  return ::getppid() == parent ? Result<>{} : std::unexpected(Failure("the command has ended", ESRCH));
}

Result<> Execute(const Invocation& invocation, pid_t parent, int output, int channel) {
  TRY(EndWith(parent));
  if (invocation.doors != nullptr) {
    TRY(cgroup::Enter(*invocation.doors));
  }
  if (invocation.prepare) {
    TRY(sys::Unshare(CLONE_NEWNS, "mount namespace"));
    TRY(invocation.prepare());
  }
  const int program = TRY(Lift(invocation.program));
  if (!invocation.streams) {
    const Fd null = TRY(sys::Open("/dev/null", O_RDWR));
    if (::dup2(null.get(), STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
        ::dup2(output, STDERR_FILENO) < 0) {
      return std::unexpected(SysError("dup", "standard streams"));
    }
  }
  if (::chdir(invocation.directory.c_str()) != 0) {
    return std::unexpected(SysError("chdir", invocation.directory));
  }
  TRY(sys::CloseOnExecFrom(3));
  container::ResetSignals();
  std::vector<std::string> words = {"runsc"};
  words.insert(words.end(), invocation.arguments.begin(), invocation.arguments.end());
  const std::vector<std::string> environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  const std::vector<char*> argv = sys::Pointers(words);
  const std::vector<char*> envp = sys::Pointers(environment);
  if (invocation.confinement != nullptr) {
    TRY(Confine(*invocation.confinement, program, channel));
  }
  ::execveat(program, "", argv.data(), envp.data(), AT_EMPTY_PATH);
  return std::unexpected(SysError("exec", "runsc"));
}

std::int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

struct Child {
  pid_t pid = 0;
  Fd pidfd;
  Fd output;
  Fd channel;
};

Result<Child> Launch(const Invocation& invocation) {
  Child child;
  std::array<int, 2> ends{-1, -1};
  if (!invocation.streams && ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  child.output.Reset(ends[0]);
  const Fd written{ends[1]};
  Fd theirs;
  TRY(sys::SocketPair(child.channel, theirs));
  const pid_t self = ::getpid();
  child.pid = TRY(
      sys::Clone3({.cgroup_fd = invocation.doors != nullptr ? invocation.doors->v2.get() : -1, .pidfd = &child.pidfd}));
  if (child.pid == 0) {
    container::FailChild(theirs.get(), Execute(invocation, self, written.get(), theirs.get()).error());
  }
  return child;
}

// Whoever it has left behind may hold the pipe open: only what is there by its end counts.
void ReadOutput(const Fd& pipe, std::string& output) {
  std::array<char, 65536> buffer{};
  const ssize_t size = ::read(pipe.get(), buffer.data(), buffer.size());
  if (size > 0 && output.size() < kMostOutput) {
    output.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

// For the tests: its time is over at once.
Result<> MayTakeItsTime() {
  FAULT_POINT("runsc.wait");
  return {};
}

// True when it has ended, false when its time is over.
bool Await(const Child& child, int timeout_ms, std::string& output) {
  const std::int64_t end = NowMs() + timeout_ms;
  for (;;) {
    std::array<pollfd, 2> entries{{{.fd = child.pidfd.get(), .events = POLLIN, .revents = 0},
                                   {.fd = child.output.get(), .events = POLLIN, .revents = 0}}};
    const std::int64_t left = end - NowMs();
    const int ready = left <= 0 ? 0 : ::poll(entries.data(), entries.size(), static_cast<int>(left));
    if (ready == 0) {
      return false;
    }
    if ((entries[1].revents & POLLIN) != 0) {
      ReadOutput(child.output, output);
    } else if (entries[0].revents != 0) {
      return true;
    } else if (ready > 0 && (entries[1].revents & POLLHUP) != 0) {
      // Both its streams are closed and it goes on: only its end is waited for.
      return sys::PidfdWait(child.pidfd.get(), static_cast<int>(left)).value_or(false);
    }
  }
}

}  // namespace

std::string Ended::Said() const {
  std::string text = output;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.pop_back();
  }
  const std::size_t line = text.rfind('\n');
  text = line == std::string::npos ? text : text.substr(line + 1);
  return text.empty() ? "exit status " + std::to_string(status) : text;
}

Result<Ended> RunToEnd(const Invocation& invocation, int timeout_ms) {
  const Child child = TRY(Launch(invocation));
  Ended ended;
  const bool in_time = MayTakeItsTime() && Await(child, timeout_ms, ended.output);
  if (!in_time) {
    (void)sys::PidfdSendSignal(child.pidfd.get(), SIGKILL);
  }
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    return std::unexpected(Failure(
        "runsc does not come to its end: killed after " + std::to_string(timeout_ms / 1000) + " seconds", ETIMEDOUT));
  }
  for (;;) {
    const Result<container::Message> message = container::Receive(child.channel.get());
    if (!message) {
      break;
    }
    if (message->tag == container::Tag::kError) {
      return std::unexpected(Failure(message->text, message->code));
    }
    if (message->tag == container::Tag::kDegraded) {
      ended.degradations.push_back(container::TakeDegradation(*message));
    }
  }
  ended.status = WIFSIGNALED(status) ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
  return ended;
}

}  // namespace nucleus::gvisor
