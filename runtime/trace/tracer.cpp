#include "runtime/trace/tracer.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <optional>
#include <vector>

#include "runtime/confine/capabilities.h"
#include "runtime/confine/confine.h"
#include "runtime/sys/syscalls.h"
#include "runtime/trace/observe.h"
#include "runtime/trace/record.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

namespace nucleus::trace {
namespace {

constexpr std::int64_t kFlushMs = 1000;
constexpr std::size_t kMaxListeners = 512;  // more wait until one has ended

std::int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// The descriptor that a message on `socket` carries; empty when the sender is gone or sent none.
Fd ReceiveListener(int socket) {
  std::array<char, 64> text{};
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) <= 0) {
    return {};
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    return {};
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd{fd};
}

bool IsExecve(const seccomp_data& data) {
  return data.nr == SYS_execve || data.nr == SYS_execveat;
}

// The processes under one filter.
struct Listener {
  Fd fd;
  // What the runtime itself calls between loading the filter and execve is not the container's.
  bool executing = false;
};

class Server {
 public:
  explicit Server(Tracer& tracer) : tracer_(tracer), record_(tracer.header) {
    // As large as this kernel's structures are: a newer one than the headers may have more in them.
    seccomp_notif_sizes sizes{};
    (void)::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
    request_.resize(std::max<std::size_t>(sizes.seccomp_notif, sizeof(seccomp_notif)) / sizeof(std::uint64_t) + 1);
    response_.resize(
        std::max<std::size_t>(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp)) / sizeof(std::uint64_t) + 1);
    connections_.push_back(std::move(tracer.init));
  }

  void Run() {
    Write();
    while (!connections_.empty() || !listeners_.empty()) {
      Wait();
      if (changed_since_ && NowMs() - *changed_since_ >= kFlushMs) {
        Write();
      }
    }
    record_.End();
    Write();
  }

 private:
  void Wait() {
    polled_.clear();
    for (const Listener& listener : listeners_) {
      polled_.push_back({.fd = listener.fd.get(), .events = POLLIN, .revents = 0});
    }
    for (const Fd& connection : connections_) {
      polled_.push_back({.fd = connection.get(), .events = POLLIN, .revents = 0});
    }
    const bool room = listeners_.size() + connections_.size() < kMaxListeners;
    polled_.push_back({.fd = tracer_.others.get(), .events = static_cast<short>(room ? POLLIN : 0), .revents = 0});
    const int wait = changed_since_ ? static_cast<int>(kFlushMs) : -1;
    if (::poll(polled_.data(), polled_.size(), wait) <= 0) {
      return;
    }
    const std::size_t listeners = listeners_.size();
    for (std::size_t i = 0; i < polled_.size(); ++i) {
      const pollfd& polled = polled_[i];
      if (polled.revents == 0) {
        continue;
      }
      if (i < listeners) {
        ServeListener(listeners_[i], polled.revents);
      } else if (i + 1 < polled_.size()) {
        ServeConnection(connections_[i - listeners]);
      } else {
        connections_.emplace_back(::accept4(tracer_.others.get(), nullptr, nullptr, SOCK_CLOEXEC));
      }
    }
    std::erase_if(listeners_, [](const Listener& listener) { return !listener.fd; });
    std::erase_if(connections_, [](const Fd& connection) { return !connection; });
  }

  void ServeConnection(Fd& connection) {
    Fd listener = ReceiveListener(connection.get());
    if (listener) {
      // The answer then runs on the processor of the asker: half of the time. Kernels before 6.6 have it not.
      constexpr std::uint64_t kSyncWakeUp = 1;
      (void)::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, kSyncWakeUp);
      listeners_.push_back({.fd = std::move(listener)});
    }
    connection.Reset();
  }

  void ServeListener(Listener& listener, short events) {
    if ((events & POLLIN) == 0) {
      listener.fd.Reset();  // nobody is left under its filter
      return;
    }
    std::ranges::fill(request_, 0);
    auto* request = reinterpret_cast<seccomp_notif*>(request_.data());
    if (::ioctl(listener.fd.get(), SECCOMP_IOCTL_NOTIF_RECV, request) != 0) {
      return;  // the caller was killed or interrupted meanwhile
    }
    const bool own = listener.executing || IsExecve(request->data);
    std::vector<std::string> seen;
    if (tracer_.files && own) {
      seen = Observe(static_cast<pid_t>(request->pid), request->data);
      // Of a caller that has ended meanwhile the pid may be another's.
      if (::ioctl(listener.fd.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &request->id) != 0) {
        seen.clear();
      }
    }
    std::ranges::fill(response_, 0);
    auto* response = reinterpret_cast<seccomp_notif_resp*>(response_.data());
    response->id = request->id;
    response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)::ioctl(listener.fd.get(), SECCOMP_IOCTL_NOTIF_SEND, response);
    if (!own) {
      return;
    }
    listener.executing = true;
    std::array<std::uint64_t, 6> arguments{};
    std::copy_n(request->data.args, arguments.size(), arguments.begin());
    record_.AddSyscall(request->data.arch, request->data.nr, arguments);
    for (const std::string& object : seen) {
      record_.Add(object);
    }
    if (!changed_since_) {
      changed_since_ = NowMs();
    }
  }

  // A full disk must not stop the container: what cannot be written is tried again with the next.
  void Write() {
    const std::string& text = record_.Text();
    std::size_t done = 0;
    while (done < text.size()) {
      const ssize_t written =
          ::pwrite(tracer_.file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (written <= 0) {
        break;
      }
      done += static_cast<std::size_t>(written);
    }
    changed_since_.reset();
  }

  Tracer& tracer_;
  Record record_;
  std::vector<Listener> listeners_;
  std::vector<Fd> connections_;  // of which a listener is to come
  std::vector<pollfd> polled_;
  std::vector<std::uint64_t> request_;
  std::vector<std::uint64_t> response_;
  std::optional<std::int64_t> changed_since_;
};

oci::SeccompSyscall Allow(std::vector<std::string> names, std::vector<oci::SeccompArg> arguments = {}) {
  oci::SeccompSyscall rule;
  rule.names = std::move(names);
  rule.args = std::move(arguments);
  return rule;
}

oci::Seccomp TracerProfile(bool files) {
  oci::Seccomp profile;
  profile.default_errno_ret = EPERM;
  profile.syscalls.push_back(
      Allow({"accept4", "brk", "clock_gettime", "close", "exit_group", "futex", "madvise", "mmap", "mremap", "munmap",
             "poll", "ppoll", "pwrite64", "recvmsg", "restart_syscall", "rt_sigreturn", "sendmsg", "write"}));
  for (const std::uint64_t request :
       {std::uint64_t{SECCOMP_IOCTL_NOTIF_RECV}, std::uint64_t{SECCOMP_IOCTL_NOTIF_SEND},
        std::uint64_t{SECCOMP_IOCTL_NOTIF_ID_VALID}, std::uint64_t{SECCOMP_IOCTL_NOTIF_SET_FLAGS}}) {
    oci::SeccompArg argument;
    argument.index = 1;
    argument.value = request;
    argument.op = oci::SeccompOperator::kEq;
    profile.syscalls.push_back(Allow({"ioctl"}, {argument}));
  }
  oci::SeccompArg sizes;
  sizes.value = SECCOMP_GET_NOTIF_SIZES;
  profile.syscalls.push_back(Allow({"seccomp"}, {sizes}));
  if (files) {
    profile.syscalls.push_back(Allow({"fstat", "getsockopt", "newfstatat", "openat", "pidfd_getfd", "pidfd_open",
                                      "process_vm_readv", "read", "readlink", "readlinkat"}));
  }
  return profile;
}

Result<> CheckTraceFile(int file, const std::string& path) {
  const struct stat status = TRY(sys::Fstat(file, path));
  if (!S_ISREG(status.st_mode)) {
    return std::unexpected(Failure(path + ": not a regular file", EINVAL));
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return std::unexpected(Failure(path + ": everybody may write to it", EPERM));
  }
  std::array<char, kHeaderStart.size()> start{};
  const ssize_t size = ::pread(file, start.data(), start.size(), 0);
  if (size < 0) {
    return std::unexpected(SysError("read", path));
  }
  if (size != 0 && std::string_view{start.data(), static_cast<std::size_t>(size)} != kHeaderStart) {
    return std::unexpected(Failure(path + ": has something else in it than a trace", EEXIST));
  }
  return {};
}

}  // namespace

Result<Fd> OpenTraceFile(const std::string& path) {
  // Whatever lies there must not make the runtime wait.
  Result<Fd> file =
      sys::OpenAt2(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, RESOLVE_NO_MAGICLINKS, 0600);
  if (!file) {
    return std::unexpected(file.error().code == ELOOP ? Failure(path + ": is a symbolic link", ELOOP) : file.error());
  }
  TRY(CheckTraceFile(file->get(), path));
  if (::ftruncate(file->get(), 0) != 0) {
    return std::unexpected(SysError("truncate", path));
  }
  return file;
}

Result<> ConfineTracer(bool files) {
  // An ordinary user's containers are in user namespaces of that user, which has all rights over them.
  const bool may = files && ::geteuid() == 0;
  const std::uint64_t wanted = may ? std::uint64_t{1} << CAP_SYS_PTRACE & confine::BoundingSet() : 0;
  TRY(confine::SetCapabilities({.effective = wanted, .permitted = wanted}, 0));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_NO_NEW_PRIVS"));
  }
  const confine::SeccompProgram program = TRY(confine::CompileSeccomp(TracerProfile(files)));
  const sock_fprog bpf{.len = static_cast<unsigned short>(program.filter.size()),
                       .filter = const_cast<sock_filter*>(program.filter.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &bpf) != 0) {
    return std::unexpected(SysError("seccomp", "load the tracer's filter"));
  }
  return {};
}

void Serve(Tracer& tracer) {
  Server{tracer}.Run();
}

}  // namespace nucleus::trace
