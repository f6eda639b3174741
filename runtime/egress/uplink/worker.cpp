#include "runtime/egress/uplink/worker.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>

#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::uplink {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kReadyTimeoutMs = 20000;
constexpr std::size_t kMaxMessage = 65536;
constexpr std::size_t kMaxText = 4096;
constexpr int kDescriptors = 4;  // program, namespace, ready, errors
constexpr int kFailed = 1;

// ---- messages: a byte that says what it is, and what belongs to it

struct Said {
  char tag = '\0';  // '\0': the other end is gone
  std::string text;
  std::vector<Fd> descriptors;
};

bool Say(int socket, char tag, std::string_view text, const std::vector<int>& descriptors = {}) {
  std::string bytes(1, tag);
  bytes += text;
  iovec data{.iov_base = bytes.data(), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

Said Hear(int socket) {
  std::string bytes(kMaxMessage, '\0');
  iovec data{.iov_base = bytes.data(), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  Said said;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); size >= 0 && header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      for (std::size_t offset = 0; CMSG_LEN(offset) < header->cmsg_len; offset += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + offset, sizeof fd);
        said.descriptors.emplace_back(fd);
      }
    }
  }
  if (size > 0) {
    said.tag = bytes[0];
    said.text = bytes.substr(1, static_cast<std::size_t>(size) - 1);
  }
  return said;
}

// ---- the keeper

void ResetSignals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal = 1; signal < NSIG; ++signal) {
    ::signal(signal, SIG_DFL);
  }
}

constexpr int kProgramFd = 62;
constexpr int kNetnsFd = 63;

// Descriptors 0, 1, 2 and those that are known by their numbers.
bool Arrange(const std::vector<Fd>& given) {
  constexpr int kAside = 64;
  std::array<int, kDescriptors> aside{};
  for (std::size_t i = 0; i < aside.size(); ++i) {
    aside[i] = ::fcntl(given[i].get(), F_DUPFD_CLOEXEC, kAside);
  }
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  return null >= 0 && ::dup2(null, STDIN_FILENO) == STDIN_FILENO && ::dup2(aside[3], STDOUT_FILENO) == STDOUT_FILENO &&
         ::dup2(aside[3], STDERR_FILENO) == STDERR_FILENO && ::dup2(aside[2], Worker::kReadyFd) == Worker::kReadyFd &&
         ::dup3(aside[0], kProgramFd, O_CLOEXEC) == kProgramFd && ::dup3(aside[1], kNetnsFd, O_CLOEXEC) == kNetnsFd &&
         sys::CloseFrom(3, {Worker::kReadyFd, kProgramFd, kNetnsFd});
}

// A path that leads to the network namespace and to nothing else: versions of pasta differ in what descriptors they
// leave open.
bool PlaceNetns() {
  const std::string from = "/proc/self/fd/" + std::to_string(kNetnsFd);
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=4096") != 0) {
    return false;
  }
  const Fd file{::open(Worker::kNetnsPath, O_RDONLY | O_CREAT | O_CLOEXEC, 0600)};
  return file && ::mount(from.c_str(), Worker::kNetnsPath, "", MS_BIND, nullptr) == 0;
}

// Splits at zeroes.
std::vector<char*> Pointers(std::string& text) {
  std::vector<char*> pointers;
  for (std::size_t start = 0; start < text.size(); start = text.find('\0', start) + 1) {
    pointers.push_back(text.data() + start);
  }
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Execute(Said& order) {
  std::vector<char*> argv = Pointers(order.text);
  std::string path{"PATH=/usr/bin:/bin"};
  const std::array<char*, 2> environment = {path.data(), nullptr};
  if (Arrange(order.descriptors) && PlaceNetns()) {
    ::execveat(kProgramFd, "", argv.data(), environment.data(), AT_EMPTY_PATH);
  }
  std::perror("cannot be executed");
  ::_exit(kFailed);
}

// Process 1 of its pid namespace, until nothing runs in it any more.
[[noreturn]] void Keep(int channel) {
  // From here on the death of the parent is ours; one that was before shows as the end of the channel.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ResetSignals();
  ::setsid();
  if (::chdir("/") != 0 || !sys::CloseFrom(3, {channel})) {
    ::_exit(kFailed);
  }
  pid_t first = -1;
  {
    Said order = Hear(channel);
    if (order.tag != 'x' || order.descriptors.size() != kDescriptors) {
      ::_exit(kFailed);
    }
    const Result<pid_t> forked = sys::Clone3({});
    if (!forked) {
      ::_exit(kFailed);
    }
    if (*forked == 0) {
      Execute(order);
    }
    first = *forked;
  }
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended < 0 && errno == EINTR) {
      continue;
    }
    if (ended < 0) {
      ::_exit(0);
    }
    if (ended == first) {
      // pasta goes on in the background once it is ready.
      Say(channel, WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 'r' : 'f', "");
    }
  }
}

// ---- the door: a short-lived process that makes the namespaces, and the keeper in them

[[noreturn]] void Refuse(int socket, const Error& error) {
  Say(socket, 'e', std::to_string(error.code) + " " + error.message);
  ::_exit(kFailed);
}

// Where /dev/net/tun is root's alone (a host without udev), one for everybody, which only this process and its children
// see: what may be done with it takes CAP_NET_ADMIN over a namespace.
Result<> OfferTun() {
  struct stat status{};
  constexpr mode_t kAll = S_IROTH | S_IWOTH;
  if (::stat("/dev/net/tun", &status) != 0) {
    return std::unexpected(
        Failure("network mode userspace takes /dev/net/tun, which this host does not have: load the "
                "module tun",
                ENODEV));
  }
  if ((status.st_mode & kAll) == kAll || ::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0) {
    return {};
  }
  constexpr mode_t kDevice = S_IFCHR | 0666;
  if (::mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", "/dev/net", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=4096") != 0) {
    return {};  // not root of the host: pasta says what it may not
  }
  const mode_t mask = ::umask(0);
  const bool made = ::mknod("/dev/net/tun", kDevice, status.st_rdev) == 0;
  ::umask(mask);
  if (!made) {
    return std::unexpected(SysError("mknod", "/dev/net/tun"));
  }
  return {};
}

// All capabilities stay permitted across the change of user, and are effective again.
Result<> BecomeNobody() {
  if (::setgroups(0, nullptr) != 0 && errno != EPERM) {
    return std::unexpected(SysError("setgroups", ""));
  }
  ::prctl(PR_SET_KEEPCAPS, 1);
  if (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0) {
    if (errno == EINVAL || errno == EPERM) {
      return {};  // no such user here: the caller's own
    }
    return std::unexpected(SysError("become", "nobody"));
  }
  cap_t capabilities = ::cap_get_proc();
  constexpr cap_value_t kAdmin = CAP_SYS_ADMIN;
  const bool raised = capabilities != nullptr &&
                      ::cap_set_flag(capabilities, CAP_EFFECTIVE, 1, &kAdmin, CAP_SET) == 0 &&
                      ::cap_set_proc(capabilities) == 0;
  ::cap_free(capabilities);
  if (!raised) {
    return std::unexpected(SysError("capset", ""));
  }
  return {};
}

// Into the user namespace, a new one where `userns` is -1; the parent writes its map.
Result<> EnterUserNamespace(int socket, int userns) {
  if (userns >= 0) {
    TRY(sys::SetNs(userns, CLONE_NEWUSER, "user namespace of the container"));
    // Its root, where it has one: another user would lose the capabilities by execve.
    if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) {
      return std::unexpected(SysError("become", "root of the container's user namespace"));
    }
    return {};
  }
  TRY(BecomeNobody());
  const std::string ids = std::to_string(::geteuid()) + " " + std::to_string(::getegid());
  TRY(sys::Unshare(CLONE_NEWUSER, "user namespace"));
  Say(socket, 'u', ids);
  if (Hear(socket).tag != 'm' || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) {
    return std::unexpected(SysError("become", "root of a user namespace"));
  }
  return {};
}

Result<> MakeNamespaces(int socket, int channel, int userns) {
  TRY(OfferTun());
  TRY(EnterUserNamespace(socket, userns));
  const pid_t keeper = TRY(sys::Clone3({.flags = CLONE_NEWPID | CLONE_PARENT, .cgroup_fd = -1, .pidfd = nullptr}));
  if (keeper == 0) {
    Keep(channel);
  }
  Say(socket, 'k', std::to_string(keeper));
  if (userns < 0) {
    TRY(sys::Unshare(CLONE_NEWNET, "network namespace"));
    const Fd netns = TRY(sys::Open("/proc/self/ns/net", O_RDONLY));
    Say(socket, 'n', "", {netns.get()});
  }
  return {};
}

// ---- the parent's side

Result<> WriteProc(pid_t pid, const char* name, const std::string& text) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const Fd file = TRY(sys::Open(path, O_WRONLY));
  return WriteAll(file.get(), text, path);
}

Result<> WriteMaps(pid_t pid, const std::string& ids) {
  unsigned uid = 0;
  unsigned gid = 0;
  if (std::sscanf(ids.c_str(), "%u %u", &uid, &gid) != 2) {
    return std::unexpected(Failure("the user namespace of pasta cannot be made", EPROTO));
  }
  TRY(WriteProc(pid, "setgroups", "deny"));
  TRY(WriteProc(pid, "uid_map", "0 " + std::to_string(uid) + " 1\n"));
  return WriteProc(pid, "gid_map", "0 " + std::to_string(gid) + " 1\n");
}

void Reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Reads what is there without waiting for more.
void Drain(int fd, std::string& text) {
  std::array<char, kMaxText> buffer{};
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  if (size > 0 && text.size() < kMaxText) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

// The program's own words on one line, without what pasta says of a host without syslog.
std::string Words(const std::string& said) {
  std::string words;
  for (std::size_t start = 0; start < said.size();) {
    const std::size_t end = std::min(said.find('\n', start), said.size());
    const std::string line = said.substr(start, end - start);
    start = end + 1;
    if (!line.empty() && !line.starts_with("Failed to send")) {
      words += (words.empty() ? "" : "; ") + line;
    }
  }
  return words;
}

}  // namespace

Result<Worker> Worker::StartWithRouter() {
  return Start(-1);
}
Result<Worker> Worker::StartIn(int userns) {
  return Start(userns);
}

Result<Worker> Worker::Start(int userns) {
  Worker worker;
  Fd here;
  Fd there;
  Fd keepers;
  TRY(sys::SocketPair(here, there));
  TRY(sys::SocketPair(worker.channel_, keepers));
  const pid_t door = TRY(sys::Clone3({}));
  if (door == 0) {
    here.Reset();
    worker.channel_.Reset();
    const Result<> made = MakeNamespaces(there.get(), keepers.get(), userns);
    if (!made) {
      Refuse(there.get(), made.error());
    }
    ::_exit(0);
  }
  there.Reset();
  keepers.Reset();
  std::optional<Error> error;
  for (bool more = true; more && !error;) {
    Said said = Hear(here.get());
    switch (said.tag) {
      case 'u': {
        const Result<> written = WriteMaps(door, said.text);
        if (!written) {
          error = written.error();
        } else {
          Say(here.get(), 'm', "");
        }
        break;
      }
      case 'k': {
        worker.pid_ = static_cast<pid_t>(std::strtol(said.text.c_str(), nullptr, 10));
        Result<Fd> pidfd = sys::PidfdOpen(worker.pid_);
        const Result<sys::ProcessStat> stat = sys::ReadProcessStat(worker.pid_);
        if (!pidfd || !stat) {
          error = !pidfd ? pidfd.error() : stat.error();
        } else {
          worker.pidfd_ = *std::move(pidfd);
          worker.start_time_ = stat->start_time;
        }
        break;
      }
      case 'n':
        if (said.descriptors.size() == 1) {
          worker.router_ = std::move(said.descriptors.front());
        }
        break;
      case 'e': {
        const int code = static_cast<int>(std::strtol(said.text.c_str(), nullptr, 10));
        error = Failure(
            "network mode userspace: " + said.text.substr(std::min(said.text.find(' '), said.text.size() - 1) + 1),
            code);
        break;
      }
      default:
        more = false;
    }
  }
  here.Reset();
  Reap(door);
  if (!error && (worker.pid_ <= 0 || (userns < 0 && !worker.router_))) {
    error = Failure("the namespaces of pasta cannot be made", ECHILD);
  }
  if (error) {
    return std::unexpected(*error);
  }
  return worker;
}

Worker::~Worker() {
  if (pidfd_ && !keep_) {
    (void)sys::PidfdSendSignal(pidfd_.get(), SIGKILL);
    Reap(pid_);
  }
}

Result<> Worker::Run(const Program& program, const std::vector<std::string>& arguments, int netns) {
  std::array<int, 2> ready{};
  std::array<int, 2> errors{};
  if (::pipe2(ready.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  const Fd ready_end{ready[0]};
  Fd ready_write{ready[1]};
  if (::pipe2(errors.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  const Fd errors_end{errors[0]};
  Fd errors_write{errors[1]};
  std::string text;
  for (const std::string& argument : arguments) {
    text += argument + '\0';
  }
  if (text.size() >= kMaxMessage ||
      !Say(channel_.get(), 'x', text, {program.file.get(), netns, ready_write.get(), errors_write.get()})) {
    return std::unexpected(Failure(program.path + " cannot be started", E2BIG));
  }
  ready_write.Reset();
  errors_write.Reset();
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{kReadyTimeoutMs};
  std::string said;
  // A program that goes to the background closes its end of `ready` as well: that says nothing.
  const bool by_descriptor = program.kind == Program::Kind::kSlirp;
  for (;;) {
    std::array<pollfd, 4> wait = {{{.fd = channel_.get(), .events = POLLIN, .revents = 0},
                                   {.fd = errors_end.get(), .events = POLLIN, .revents = 0},
                                   {.fd = by_descriptor ? ready_end.get() : -1, .events = POLLIN, .revents = 0},
                                   {.fd = pidfd_.get(), .events = POLLIN, .revents = 0}}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const int count = ::poll(wait.data(), wait.size(), left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return std::unexpected(Failure(program.path + " does not get ready: " + Words(said), ETIMEDOUT));
    }
    if ((wait[1].revents & POLLIN) != 0) {
      Drain(errors_end.get(), said);
      continue;
    }
    if ((wait[2].revents & POLLIN) != 0) {
      return {};
    }
    if (wait[0].revents != 0 || wait[3].revents != 0) {
      if (wait[0].revents != 0 && Hear(channel_.get()).tag == 'r' && !by_descriptor) {
        return {};
      }
      const std::string words = Words(said);
      return std::unexpected(Failure(program.path + (words.empty() ? " ended" : ": " + words), EIO));
    }
    if ((wait[1].revents & POLLHUP) != 0) {
      // Nothing more will be said: wait for the rest without that.
      std::array<pollfd, 2> rest = {{{.fd = channel_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = by_descriptor ? ready_end.get() : -1, .events = POLLIN, .revents = 0}}};
      (void)::poll(rest.data(), rest.size(), static_cast<int>(std::max<long>(left.count(), 0)));
    }
  }
}

}  // namespace nucleus::uplink
