#include "shim/gvisor/console.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "runtime/container/state_dir.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gvisor {

Result<ConsoleListener> ConsoleListener::Make(int state) {
  ConsoleListener listener;
  listener.state_ = TRY(sys::Duplicate(state));
  const std::string name = "console-" + std::to_string(::getpid());
  listener.name_ = std::string{container::kGvisorDirectory} + "/" + name;
  listener.socket_.Reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.socket_) {
    return std::unexpected(SysError("socket", ""));
  }
  listener.path_ = name;
  const std::string path = "/proc/self/fd/" + std::to_string(listener.state_.get()) + "/" + listener.name_;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
  if (::bind(listener.socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.socket_.get(), 1) != 0) {
    return std::unexpected(SysError("bind", listener.name_));
  }
  return listener;
}

ConsoleListener::~ConsoleListener() {
  if (state_) {
    ::unlinkat(state_.get(), name_.c_str(), 0);
  }
}

Result<Fd> ConsoleListener::Take() {
  const Fd connection{::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!connection) {
    return std::unexpected(SysError("accept", "the terminal from runsc"));
  }
  std::array<char, 4096> payload{};
  iovec data{.iov_base = payload.data(), .iov_len = payload.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC) < 0) {
    return std::unexpected(SysError("receive", "the terminal from runsc"));
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return std::unexpected(Failure("runsc has sent no terminal", EPROTO));
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd{fd};
}

void SetSize(int terminal, const std::optional<oci::ConsoleSize>& size) {
  if (size) {
    winsize wanted{};
    wanted.ws_row = static_cast<unsigned short>(size->height);
    wanted.ws_col = static_cast<unsigned short>(size->width);
    (void)::ioctl(terminal, TIOCSWINSZ, &wanted);
  }
}

}  // namespace nucleus::gvisor
