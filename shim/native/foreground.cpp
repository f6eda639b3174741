#include "shim/native/foreground.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>

#include "runtime/sys/syscalls.h"
#include "shim/cli/log.h"
#include "shim/native/terminal.h"

namespace nucleus::shim {
namespace {

// Reaps every child that has ended; the status of `pid` once it was among them.
std::optional<int> Reap(pid_t pid) {
  std::optional<int> result;
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended <= 0) {
      return result;
    }
    if (ended == pid) {
      constexpr int kSignalBase = 128;
      result = WIFSIGNALED(status) ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
    }
  }
}

// Handles the signals that have come; true when a child may have ended.
bool HandleSignals(int signals, const container::Launched& process, const TerminalProxy* terminal) {
  bool child = false;
  signalfd_siginfo info{};
  while (::read(signals, &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) {
      child = true;
    } else if (signal == SIGWINCH && terminal != nullptr) {
      terminal->CopySize();
    } else if (process.signal) {
      process.signal(signal);
    } else {
      (void)sys::PidfdSendSignal(process.pidfd.get(), signal);
    }
  }
  return child;
}

// For the service manager this process, which stays, is the service.
void TakeReady(container::Launched& process) {
  const Result<bool> said = process.ready->Take(::getpid());
  if (!said) {
    Log(Level::kWarning, said.error().message);
  }
  if (!said || *said) {
    process.ready.reset();
  }
}

}  // namespace

Result<SignalGate> SignalGate::Make() {
  sigset_t set;
  ::sigfillset(&set);
  // Of no meaning to another process (SIGPIPE, SIGURG), or this one's own faults.
  for (const int signal : {SIGPIPE, SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
    ::sigdelset(&set, signal);
  }
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return std::unexpected(SysError("sigprocmask", ""));
  }
  SignalGate gate;
  gate.fd_ = Fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!gate.fd_) {
    return std::unexpected(SysError("signalfd", ""));
  }
  return gate;
}

Result<int> Accompany(const SignalGate& signals, container::Launched& process) {
  // A reader of our output that has gone is no reason to leave the container alone.
  ::signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<TerminalProxy> terminal;
  if (process.console) {
    terminal = std::make_unique<TerminalProxy>(std::move(process.console));
  }
  std::optional<int> status = Reap(process.pid);
  while (!status) {
    enum { kSignals, kMaster, kInput, kReady, kCount };
    std::array<pollfd, kCount> entries{};
    entries[kSignals] = {.fd = signals.fd(), .events = POLLIN, .revents = 0};
    entries[kMaster] = {.fd = -1, .events = 0, .revents = 0};
    entries[kInput] = {.fd = -1, .events = 0, .revents = 0};
    entries[kReady] = {.fd = process.ready ? process.ready->fd() : -1, .events = POLLIN, .revents = 0};
    if (terminal) {
      const short out = terminal->wants_to_write() ? POLLOUT : 0;
      entries[kMaster] = {.fd = terminal->master(), .events = static_cast<short>(POLLIN | out), .revents = 0};
      // No more input is taken than the container takes.
      entries[kInput] = {.fd = terminal->wants_to_write() ? -1 : terminal->input(), .events = POLLIN, .revents = 0};
    }
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    if (entries[kMaster].revents != 0) {
      if ((entries[kMaster].revents & POLLOUT) != 0) {
        terminal->WriteMaster();
      }
      if ((entries[kMaster].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        terminal->ReadMaster();
      }
    }
    if (entries[kInput].revents != 0) {
      terminal->ReadInput();
    }
    if (entries[kReady].revents != 0) {
      TakeReady(process);
    }
    if (entries[kSignals].revents != 0 && HandleSignals(signals.fd(), process, terminal.get())) {
      status = Reap(process.pid);
    }
  }
  if (terminal) {
    terminal->DrainMaster();
  }
  if (process.ready) {
    TakeReady(process);  // its last word, where it came with its end
  }
  return *status;
}

}  // namespace nucleus::shim
