#include "runtime/sys/syscalls.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace nucleus::sys {

Result<Fd> OpenAt2(int dirfd, const std::string& path, std::uint64_t flags, std::uint64_t resolve, mode_t mode) {
  // The kernel asks for a retry when a rename or mount raced with RESOLVE_IN_ROOT or RESOLVE_BENEATH; an attacker who
  // renames for ever must not hold us for ever.
  constexpr int kRetries = 128;
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dirfd, path.c_str(), &how, sizeof how);
    if (fd >= 0) {
      return Fd{static_cast<int>(fd)};
    }
    if ((errno != EAGAIN && errno != EINTR) || attempt >= kRetries) {
      return std::unexpected(SysError("open", path));
    }
  }
}

Result<Fd> Open(const std::string& path, int flags, mode_t mode) {
  Fd fd{::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, mode)};
  if (!fd) {
    return std::unexpected(SysError("open", path));
  }
  return fd;
}

Result<struct stat> Fstat(int fd, const std::string& name) {
  struct stat status{};
  if (::fstatat(fd, "", &status, AT_EMPTY_PATH) != 0) {
    return std::unexpected(SysError("stat", name));
  }
  return status;
}

Result<std::string> ReadLinkAt(int dirfd, const std::string& path) {
  std::array<char, 4096> buffer{};
  const ssize_t size = ::readlinkat(dirfd, path.c_str(), buffer.data(), buffer.size());
  if (size < 0) {
    return std::unexpected(SysError("readlink", path));
  }
  if (static_cast<std::size_t>(size) == buffer.size()) {
    return std::unexpected(SysError("readlink", path, ENAMETOOLONG));
  }
  return std::string(buffer.data(), static_cast<std::size_t>(size));
}

Result<Fd> Duplicate(int fd) {
  Fd copy{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
  if (!copy) {
    return std::unexpected(SysError("dup", "descriptor"));
  }
  return copy;
}

Result<Fd> CloneTree(int dirfd, const std::string& path, bool recursive, const std::string& name) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (recursive) {
    flags |= AT_RECURSIVE;
  }
  if (path.empty()) {
    flags |= AT_EMPTY_PATH;
  }
  Fd tree{::open_tree(dirfd, path.c_str(), flags)};
  if (!tree) {
    return std::unexpected(SysError("open_tree", name));
  }
  return tree;
}

Result<Fd> FsOpen(const std::string& type) {
  Fd fs{::fsopen(type.c_str(), FSOPEN_CLOEXEC)};
  if (!fs) {
    return std::unexpected(SysError("fsopen", type));
  }
  return fs;
}

std::string FsLog(int fs) {
  std::string log;
  std::array<char, 512> line{};
  for (;;) {
    const ssize_t size = ::read(fs, line.data(), line.size());
    if (size <= 0) {
      return log;
    }
    std::string_view text{line.data(), static_cast<std::size_t>(size)};
    // Each message is "e text", "w text" or "i text"; only errors and warnings explain a failure.
    if (text.size() < 3 || text[0] == 'i') {
      continue;
    }
    text.remove_prefix(2);
    while (!text.empty() && text.back() == '\n') {
      text.remove_suffix(1);
    }
    if (!log.empty()) {
      log += "; ";
    }
    log += text;
  }
}

namespace {

std::unexpected<Error> FsError(int fs, const std::string& what) {
  const int err = errno;
  const std::string log = FsLog(fs);
  return std::unexpected(SysError("fsconfig", log.empty() ? what : what + " (" + log + ")", err));
}

}  // namespace

Result<> FsConfigString(int fs, const std::string& key, const std::string& value) {
  if (::fsconfig(fs, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) != 0) {
    return FsError(fs, key + "=" + value);
  }
  return {};
}

Result<> FsConfigFlag(int fs, const std::string& key) {
  if (::fsconfig(fs, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) != 0) {
    return FsError(fs, key);
  }
  return {};
}

Result<> FsConfigCreate(int fs) {
  if (::fsconfig(fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return FsError(fs, "create");
  }
  return {};
}

Result<Fd> FsPick(int mount, const std::string& name) {
  Fd fs{::fspick(mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)};
  if (!fs) {
    return std::unexpected(SysError("fspick", name));
  }
  return fs;
}

Result<> FsConfigReconfigure(int fs) {
  if (::fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) != 0) {
    return FsError(fs, "reconfigure");
  }
  return {};
}

Result<Fd> FsMount(int fs, std::uint64_t attributes) {
  Fd mount{::fsmount(fs, FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes))};
  if (!mount) {
    return std::unexpected(SysError("fsmount", FsLog(fs)));
  }
  return mount;
}

Result<> SetMountAttributes(int mount, std::uint64_t set, std::uint64_t clear, std::uint64_t propagation,
                            bool recursive, const std::string& name) {
  struct mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  if (::mount_setattr(mount, "", flags, &attributes, sizeof attributes) != 0) {
    return std::unexpected(SysError("mount_setattr", name));
  }
  return {};
}

Result<> SetIdMapping(int mount, int userns, bool recursive, const std::string& name) {
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(userns);
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  if (::mount_setattr(mount, "", flags, &attributes, sizeof attributes) != 0) {
    return std::unexpected(SysError("mount_setattr", name));
  }
  return {};
}

Result<> MoveMount(int mount, int target, const std::string& name) {
  if (::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return std::unexpected(SysError("move_mount", name));
  }
  return {};
}

Result<pid_t> Clone3(const CloneRequest& request) {
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = request.flags;
  // With CLONE_PARENT the exit signal is the caller's own.
  arguments.exit_signal = (request.flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;
  if (request.pidfd != nullptr) {
    arguments.flags |= CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  }
  if (request.cgroup_fd >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(request.cgroup_fd);
  }
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) {
    return std::unexpected(SysError("clone3", ""));
  }
  if (pid > 0 && request.pidfd != nullptr) {
    request.pidfd->Reset(pidfd);
  }
  return static_cast<pid_t>(pid);
}

Result<Fd> PidfdOpen(pid_t pid) {
  Fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!pidfd) {
    return std::unexpected(SysError("pidfd_open", std::to_string(pid)));
  }
  return pidfd;
}

Result<> PidfdSendSignal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0) {
    return std::unexpected(SysError("pidfd_send_signal", ""));
  }
  return {};
}

Result<bool> PidfdWait(int pidfd, int timeout_ms) {
  pollfd entry{.fd = pidfd, .events = POLLIN, .revents = 0};
  for (;;) {
    const int count = ::poll(&entry, 1, timeout_ms);
    if (count >= 0) {
      return count > 0;
    }
    if (errno != EINTR) {
      return std::unexpected(SysError("poll", "pidfd"));
    }
  }
}

Result<> SetNs(int fd, int type, const std::string& name) {
  if (::setns(fd, type) != 0) {
    return std::unexpected(SysError("setns", name));
  }
  return {};
}

Result<> Unshare(int flags, const std::string& name) {
  if (::unshare(flags) != 0) {
    return std::unexpected(SysError("unshare", name));
  }
  return {};
}

Result<> CloseOnExecFrom(int first) {
  if (::close_range(static_cast<unsigned>(first), ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    return std::unexpected(SysError("close_range", ""));
  }
  return {};
}

Result<> CloseFrom(int first, std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned from = static_cast<unsigned>(first);
  for (const int fd : keep) {
    if (fd < 0 || static_cast<unsigned>(fd) < from) {
      continue;
    }
    const auto kept = static_cast<unsigned>(fd);
    if (kept > from && ::close_range(from, kept - 1, 0) != 0) {
      return std::unexpected(SysError("close_range", ""));
    }
    from = kept + 1;
  }
  if (::close_range(from, ~0U, 0) != 0) {
    return std::unexpected(SysError("close_range", ""));
  }
  return {};
}

void CloseAll(std::vector<Fd>& descriptors) {
  std::vector<int> numbers;
  numbers.reserve(descriptors.size());
  for (Fd& descriptor : descriptors) {
    if (descriptor) {
      numbers.push_back(descriptor.Release());
    }
  }
  std::sort(numbers.begin(), numbers.end());
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) {
      ++end;
    }
    ::close_range(static_cast<unsigned>(numbers[i]), static_cast<unsigned>(numbers[end - 1]), 0);
    i = end;
  }
  descriptors.clear();
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

Result<> SocketPair(Fd& one, Fd& other) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return std::unexpected(SysError("socketpair", ""));
  }
  one.Reset(pair[0]);
  other.Reset(pair[1]);
  return {};
}

Result<Fd> ConnectUnix(const std::string& path, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A path that does not fit is reached through a descriptor of the socket's own inode.
  Fd inode;
  std::string name = path;
  if (name.size() >= sizeof address.sun_path) {
    inode = TRY(Open(path, O_PATH));
    name = "/proc/self/fd/" + std::to_string(inode.get());
  }
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  Fd socket{::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", path));
  }
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return std::unexpected(SysError("connect", path));
  }
  return socket;
}

Result<> SendFd(int socket, int fd, std::string_view payload, const std::string& name) {
  iovec data{.iov_base = const_cast<char*>(payload.data()), .iov_len = payload.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    return std::unexpected(SysError("sendmsg", name));
  }
  return {};
}

}  // namespace nucleus::sys
