// The supervisor: starts the setter and the parser, and waits.

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "runtime/egress/gate/clock.h"
#include "runtime/egress/gate/confine.h"
#include "runtime/egress/gate/gate.h"
#include "runtime/egress/gate/message.h"
#include "runtime/egress/gate/names.h"
#include "runtime/egress/gate/parser.h"
#include "runtime/egress/gate/protocol.h"
#include "runtime/egress/gate/report.h"
#include "runtime/egress/gate/setter.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gate {
namespace {

static_assert(kMaxRecords == kMaxAddresses * kMaxGroups && 2 * kMaxRecords <= kMaxGrants);

// Milliseconds between a death and the next start; doubled each time, until both were well for a while.
constexpr std::int64_t kFirstDelay = 50;
#ifdef NUCLEUS_FAULTS
constexpr std::int64_t kMostDelay = kFirstDelay;  // the tests kill them hundreds of times
#else
constexpr std::int64_t kMostDelay = 10'000;
#endif
constexpr std::int64_t kWell = 60'000;
constexpr std::size_t kMaxErrorText = 512;

// Text of an error, or this: ready.
constexpr std::string_view kReady = "ready";

Result<> SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return std::unexpected(SysError("fcntl", "O_NONBLOCK"));
  }
  return {};
}

Result<> Place(int from, int to) {
  if (::dup2(from, to) < 0) {
    return std::unexpected(SysError("dup", ""));
  }
  return {};
}

// Nothing of the caller's log, terminal or files stays.
Result<> EmptyStreams() {
  const Fd null = TRY(sys::Open("/dev/null", O_RDWR));
  for (int stream = 0; stream < 3; ++stream) {
    if (kSanitized && stream == 2) {
      continue;
    }
    TRY(Place(null.get(), stream));
  }
  return {};
}

void IgnoreSignals() {
  // What the caller handles is not for a fork of it.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD, SIGUSR1, SIGUSR2, SIGALRM}) {
    (void)std::signal(signal, SIG_DFL);
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)std::signal(SIGXFSZ, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// One of the two, as the supervisor has it.
struct Child {
  Fd pidfd;
  Fd life;  // says once that it is ready, or what went wrong
  pid_t pid = -1;
  bool ready = false;
};

class Supervisor {
 public:
  Supervisor(const Config& config, const Sockets& sockets, Sets& sets, Options& options)
      : config_(config), sockets_(sockets), sets_(sets), options_(options), report_(options.report.get()) {
  }

  Result<> Run() {
    std::int64_t delay = kFirstDelay;
    for (;;) {
      if (Result<> started = StartBoth(); !started) {
        EndBoth();
        if (!was_ready_) {
          return started;
        }
        first_error_ = started.error();
      }
      const std::int64_t since = Milliseconds();
      const Event event = setter_.pid > 0 ? Wait(-1) : Event::kDeath;
      if (event == Event::kEnd) {
        EndBoth();
        return {};
      }
      TRY(Died());
      delay = Milliseconds() - since >= kWell ? kFirstDelay : delay;
      if (Wait(static_cast<int>(delay)) == Event::kEnd) {
        return {};
      }
      delay = std::min(2 * delay, kMostDelay);
    }
  }

 private:
  enum class Event { kEnd, kDeath };

  Result<> StartBoth() {
    setter_ = {};
    parser_ = {};
    first_error_ = {};
    Fd ours;
    Fd theirs;
    TRY(sys::SocketPair(ours, theirs));
    TRY(Start(setter_, [&](int life) { return Setter(ours.get(), life); }));
    return Start(parser_, [&](int life) { return Parser(theirs.get(), life); });
  }

  // `body` returns only to say what went wrong before it was ready.
  template <class Body>
  Result<> Start(Child& child, const Body& body) {
    Fd life;
    TRY(sys::SocketPair(child.life, life));
    const pid_t pid = TRY(sys::Clone3({.pidfd = &child.pidfd}));
    if (pid == 0) {
      const Result<> failed = body(life.get());
      if (!failed) {
        // The descriptor may have moved already.
        for (const int fd : {life.get(), kLifeFd}) {
          if (::send(fd, failed.error().message.data(), failed.error().message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >=
              0) {
            break;
          }
        }
      }
      ::_exit(failed ? 0 : 1);
    }
    child.pid = pid;
    return {};
  }

  Result<> Setter(int channel, int life) {
    IgnoreSignals();
    TRY(EmptyStreams());
    TRY(sets_.Open());
    std::vector<int> keep = sets_.Descriptors();
    keep.push_back(channel);
    keep.push_back(life);
    TRY(sys::CloseFrom(3, std::move(keep)));
    TRY(ConfineSetter());
    TRY(SayReady(life));
    RunSetter(config_, sets_, channel, life);
    return {};
  }

  Result<> Parser(int channel, int life) {
    IgnoreSignals();
    TRY(EmptyStreams());
    const bool report = options_.report.valid();
    const Fd epoll{::epoll_create1(EPOLL_CLOEXEC)};
    if (!epoll) {
      return std::unexpected(SysError("epoll_create", ""));
    }
    // Out of the way first, so that no number is taken before its own descriptor has moved.
    std::array<std::pair<int, int>, 6> places = {{{sockets_.udp.get(), kUdpFd},
                                                  {sockets_.tcp.get(), kTcpFd},
                                                  {channel, kSetterFd},
                                                  {life, kLifeFd},
                                                  {report ? options_.report.get() : 0, kReportFd},
                                                  {epoll.get(), kEpollFd}}};
    for (auto& [from, to] : places) {
      from = ::fcntl(from, F_DUPFD_CLOEXEC, 2 * kFirstFree);
      if (from < 0) {
        return std::unexpected(SysError("dup", ""));
      }
    }
    for (const auto& [from, to] : places) {
      TRY(Place(from, to));
    }
    for (int fd = kEpollFd + 1; fd < kFirstFree; ++fd) {
      TRY(Place(0, fd));
    }
    TRY(sys::CloseFrom(kFirstFree, {}));
    TRY(ConfineParser());
    TRY(SayReady(kLifeFd));
    RunParser(config_, report);
    return {};
  }

  static Result<> SayReady(int life) {
    if (::send(life, kReady.data(), kReady.size(), MSG_NOSIGNAL) < 0) {
      return std::unexpected(SysError("send", "the supervisor"));
    }
    return {};
  }

  // Until the container or the gate ends, or one of the two, or `timeout` (-1: none; then there are none of the two).
  Event Wait(int timeout) {
    const std::int64_t until = timeout < 0 ? 0 : Milliseconds() + timeout;
    for (;;) {
      // Negative descriptors are left alone.
      std::array<pollfd, 6> polled{};
      const std::array<int, 6> fds = {options_.init_pidfd, options_.stop,      setter_.pidfd.get(),
                                      parser_.pidfd.get(), setter_.life.get(), parser_.life.get()};
      for (std::size_t i = 0; i < fds.size(); ++i) {
        polled[i] = {.fd = fds[i], .events = POLLIN, .revents = 0};
      }
      int left = -1;
      if (timeout >= 0) {
        left = static_cast<int>(std::max<std::int64_t>(until - Milliseconds(), 0));
      }
      const int count = ::poll(polled.data(), polled.size(), left);
      if (count < 0 && errno != EINTR) {
        return Event::kEnd;
      }
      if (count <= 0) {
        if (timeout >= 0 && Milliseconds() >= until) {
          return Event::kDeath;
        }
        continue;
      }
      if (polled[0].revents != 0 || polled[1].revents != 0) {
        return Event::kEnd;
      }
      Hear(setter_, polled[4].revents);
      Hear(parser_, polled[5].revents);
      if (setter_.ready && parser_.ready) {
        SayReady();
      }
      if (polled[2].revents != 0 || polled[3].revents != 0) {
        return Event::kDeath;
      }
    }
  }

  void Hear(Child& child, short events) {
    if (events == 0) {
      return;
    }
    std::array<char, kMaxErrorText> text{};
    const ssize_t size = ::recv(child.life.get(), text.data(), text.size(), MSG_DONTWAIT);
    if (size <= 0) {
      if (size == 0) {
        child.life.Reset();  // its end comes by the pidfd
      }
      return;
    }
    const std::string_view said{text.data(), static_cast<std::size_t>(size)};
    if (said == kReady) {
      child.ready = true;
    } else if (first_error_.message.empty()) {
      first_error_ = Failure("DNS gate: " + std::string{said});
    }
  }

  void SayReady() {
    was_ready_ = true;
    if (options_.ready) {
      (void)!::write(options_.ready.get(), "1", 1);
      options_.ready.Reset();
    }
  }

  // One has ended, so the other one goes.
  Result<> Died() {
    // Either follows the other by itself, and may be seen first: what is told is what happened to both.
    constexpr int kFollowMs = 200;
    bool parser = parser_.pidfd && Ended(parser_);
    const bool setter = setter_.pidfd && Ended(setter_, parser ? kFollowMs : 0);
    parser = parser || (parser_.pidfd && Ended(parser_, setter ? kFollowMs : 0));
    // What it said last.
    Hear(setter_, setter_.life ? POLLIN : 0);
    Hear(parser_, parser_.life ? POLLIN : 0);
    const auto [setter_status, parser_status] = EndBoth();
    const bool kill = options_.on_death == OnDeath::kEndContainer || !was_ready_;
    const std::string_view then = kill ? "kill" : "restart";
    if (parser) {
      report_.Died("parser", parser_status, then);
    }
    if (setter) {
      report_.Died("setter", setter_status, then);
    }
    if (!was_ready_) {
      return std::unexpected(first_error_.message.empty() ? Failure("DNS gate: ended before it was ready", ECHILD)
                                                          : first_error_);
    }
    if (options_.on_death == OnDeath::kEndContainer) {
      const Result<> killed = sys::PidfdSendSignal(options_.init_pidfd, SIGKILL);
      if (!killed && killed.error().code != ESRCH) {
        return killed;
      }
      // Who follows does so with 0.
      const bool followed = setter && setter_status != 0 && parser_status == 0;
      return std::unexpected(Failure(std::string{"DNS gate: the "} + (parser && !followed ? "parser" : "setter") +
                                         " has ended, and the container with it",
                                     ECHILD));
    }
    return {};
  }

  static bool Ended(const Child& child, int wait_ms = 0) {
    pollfd polled{.fd = child.pidfd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&polled, 1, wait_ms) == 1;
  }

  static int End(Child& child) {
    int status = 0;
    if (child.pid > 0) {
      (void)sys::PidfdSendSignal(child.pidfd.get(), SIGKILL);
      while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
      }
    }
    child = {};
    return status;
  }

  std::pair<int, int> EndBoth() {
    const int setter = End(setter_);
    const int parser = End(parser_);
    return {setter, parser};
  }

  const Config& config_;
  const Sockets& sockets_;
  Sets& sets_;
  Options& options_;
  Report report_;
  Child setter_;
  Child parser_;
  Error first_error_;
  bool was_ready_ = false;
};

}  // namespace

Result<> Serve(Config config, Sockets sockets, Sets& sets, Options options) {
  if ((config.servers.empty() && !config.names.empty()) || config.servers.size() > 16) {
    return std::unexpected(Failure("DNS gate: takes 1 to 16 servers", EINVAL));
  }
  if (Names{config.names}.MostGroups() > kMaxGroups) {
    return std::unexpected(Failure("DNS gate: a name is in too many rules", EINVAL));
  }
  for (const int fd : {sockets.udp.get(), sockets.tcp.get()}) {
    TRY(SetNonBlocking(fd));
  }
  if (options.report) {
    TRY(SetNonBlocking(options.report.get()));
  }
  // A report that nobody reads any more ends nothing.
  const sighandler_t before = std::signal(SIGPIPE, SIG_IGN);
  Result<> served = Supervisor{config, sockets, sets, options}.Run();
  (void)std::signal(SIGPIPE, before);
  return served;
}

}  // namespace nucleus::gate
