#include "runtime/sys/netlink_socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace nucleus::sys {

Result<std::string_view> ReceiveFromKernel(int socket, std::span<char> buffer, std::string_view what) {
  for (;;) {
    sockaddr_nl from{};
    iovec io{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(socket, &message, 0);
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0) {
      return std::unexpected(SysError("receive", what, errno == EAGAIN ? ETIMEDOUT : errno));
    }
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      return std::unexpected(SysError("receive", what, EMSGSIZE));
    }
    // Anybody may send to a netlink socket; the kernel's own messages come from port 0.
    if (from.nl_pid == 0) {
      return std::string_view{buffer.data(), static_cast<std::size_t>(size)};
    }
  }
}

}  // namespace nucleus::sys
