#include "runtime/criu/session.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "runtime/sys/syscalls.h"

namespace nucleus::criu {
namespace {

constexpr const char* kPlaces[] = {"/usr/sbin/criu", "/usr/local/sbin/criu", "/usr/bin/criu", "/usr/local/bin/criu",
                                   "/run/current-system/sw/bin/criu"};
constexpr std::size_t kMaxAnswer = 65536;
constexpr int kSocketThere = 3;
// Above all descriptors that have a place of their own in the new program.
constexpr int kAside = 512;

// Says what went wrong before criu could, in criu's words.
[[noreturn]] void Refuse(int socket, const Error& error) {
  const std::string bytes = Message{}
                                .Number(1, static_cast<unsigned>(RequestType::kEmpty))
                                .Flag(2, false)
                                .Number(7, static_cast<unsigned>(error.code))
                                .Text(9, error.message)
                                .bytes();
  (void)!::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::_exit(1);
}

Result<> Place(int from, int to) {
  if (::dup2(from, to) < 0) {
    return std::unexpected(SysError("dup", std::to_string(to)));
  }
  return {};
}

Result<> ArrangeDescriptors(const Launch& launch, int& socket) {
  std::vector<Fd> aside;
  aside.reserve(launch.descriptors.size());
  for (const int descriptor : launch.descriptors) {
    aside.emplace_back(::fcntl(descriptor, F_DUPFD_CLOEXEC, kAside));
  }
  const int safe = ::fcntl(socket, F_DUPFD_CLOEXEC, kAside);
  if (safe < 0) {
    return std::unexpected(SysError("dup", "criu's socket"));
  }
  socket = safe;
  if (launch.own_streams) {
    const Fd null = TRY(sys::Open("/dev/null", O_RDWR));
    for (int stream = 0; stream <= 2; ++stream) {
      TRY(Place(null.get(), stream));
    }
  }
  TRY(sys::CloseOnExecFrom(kSocketThere));
  TRY(Place(socket, kSocketThere));
  for (std::size_t i = 0; i < aside.size(); ++i) {
    TRY(Place(aside[i].get(), kSocketThere + 1 + static_cast<int>(i)));
  }
  return {};
}

[[noreturn]] void Execute(const Launch& launch, int socket) {
  Result<> ready = launch.prepare ? launch.prepare() : Result<>{};
  if (ready) {
    ready = ArrangeDescriptors(launch, socket);
  }
  if (!ready) {
    Refuse(socket, ready.error());
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal = 1; signal < NSIG; ++signal) {
    ::signal(signal, SIG_DFL);
  }
  std::string name{"criu"};
  std::string mode{"swrk"};
  std::string number = std::to_string(kSocketThere);
  // criu runs tar, iptables and ip.
  std::string path{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  const std::array<char*, 4> argv = {name.data(), mode.data(), number.data(), nullptr};
  const std::array<char*, 2> envp = {path.data(), nullptr};
  ::execve(launch.program.c_str(), argv.data(), envp.data());
  Refuse(socket, SysError("exec", launch.program));
}

std::string OneLine(std::string text) {
  for (char& c : text) {
    c = c == '\n' ? ' ' : c;
  }
  return text;
}

Error FailureOf(const Answer& answer) {
  if (answer.type == RequestType::kEmpty && !answer.error_message.empty()) {
    return Failure(OneLine(answer.error_message), answer.error);  // our own, from before criu
  }
  std::string text = "criu failed";
  if (answer.error != 0) {
    text += " (" + ErrnoText(answer.error) + ")";
  }
  if (!answer.error_message.empty()) {
    text += ": " + OneLine(answer.error_message);
  }
  return Failure(std::move(text), answer.error != 0 ? answer.error : EIO);
}

}  // namespace

Result<std::string> FindProgram() {
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  for (const char* place : kPlaces) {
    struct stat status{};
    if (::stat(place, &status) != 0 || !S_ISREG(status.st_mode)) {
      continue;
    }
    if (status.st_uid != 0 || (status.st_mode & kOthersWrite) != 0) {
      return std::unexpected(Failure(std::string{place} + " is not root's alone to change", EPERM));
    }
    return std::string{place};
  }
  return std::unexpected(Failure("criu is not installed: no /usr/sbin/criu", ENOENT));
}

Result<Session> Session::Begin(const Launch& launch) {
  Fd ours;
  Fd theirs;
  TRY(sys::SocketPair(ours, theirs));
  Fd pidfd;
  const pid_t pid = TRY(sys::Clone3({.flags = launch.namespaces, .cgroup_fd = launch.cgroup_fd, .pidfd = &pidfd}));
  if (pid == 0) {
    ours.Reset();
    Execute(launch, theirs.get());
  }
  return Session{pid, std::move(pidfd), std::move(ours)};
}

Session::~Session() {
  if (!pidfd_) {
    return;
  }
  // A worker whose socket is closed ends by itself.
  socket_.Reset();
  constexpr int kGraceMs = 2000;
  if (!sys::PidfdWait(pidfd_.get(), kGraceMs).value_or(false)) {
    (void)sys::PidfdSendSignal(pidfd_.get(), SIGKILL);
  }
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<Answer> Session::Serve(RequestType type, const Message& options,
                              const std::function<Result<>(const Answer& stage, Fd descriptor)>& on_stage) {
  // criu_req: 1 type, 2 opts, 3 notify_success.
  std::string request = Message{}.Number(1, static_cast<unsigned>(type)).Nested(2, options).bytes();
  for (;;) {
    if (::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0 && errno != EPIPE &&
        errno != ECONNRESET) {
      return std::unexpected(SysError("send", "criu's socket"));
    }
    std::string buffer(kMaxAnswer, '\0');
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t size = 0;
    do {
      size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size <= 0) {
      return std::unexpected(Failure("criu ended without an answer", ECHILD));
    }
    Fd descriptor;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header), sizeof number);
      descriptor.Reset(number);
    }
    Answer answer = TRY(ParseAnswer(std::string_view{buffer}.substr(0, static_cast<std::size_t>(size))));
    if (!answer.success) {
      return std::unexpected(FailureOf(answer));
    }
    if (answer.type != RequestType::kNotify) {
      return answer;
    }
    const Result<> done = on_stage(answer, std::move(descriptor));
    request = Message{}.Number(1, static_cast<unsigned>(RequestType::kNotify)).Flag(3, done.has_value()).bytes();
    if (!done) {
      // criu takes back what it has done; its own words about that add nothing.
      (void)!::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL);
      (void)!::recv(socket_.get(), buffer.data(), buffer.size(), 0);
      return std::unexpected(done.error());
    }
  }
}

}  // namespace nucleus::criu
