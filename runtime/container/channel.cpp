#include "runtime/container/channel.h"

#include <sys/socket.h>

#include <array>
#include <cstring>

#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

// Longer error texts are cut: a message is one datagram.
constexpr std::size_t kMaxText = 8192;

struct Header {
  char tag;
  int code;
};

}  // namespace

Result<> Send(int socket, Tag tag, std::string_view text, int code) {
  Header header{.tag = static_cast<char>(tag), .code = code};
  text = text.substr(0, kMaxText);
  std::array<iovec, 2> parts{{{.iov_base = &header, .iov_len = sizeof header},
                              {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    return std::unexpected(SysError("sendmsg", "the other half of the runtime"));
  }
  return {};
}

Result<> SendWithFd(int socket, Tag tag, int fd) {
  const Header header{.tag = static_cast<char>(tag), .code = 0};
  return sys::SendFd(socket, fd, {reinterpret_cast<const char*>(&header), sizeof header},
                     "the other half of the runtime");
}

Result<Message> Receive(int socket) {
  Header header{};
  std::array<char, kMaxText> text;
  std::array<iovec, 2> parts{
      {{.iov_base = &header, .iov_len = sizeof header}, {.iov_base = text.data(), .iov_len = text.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  bool reset = false;
  do {
    // That the other side has closed with something unread is told once, before its own last words.
    reset = size < 0 && errno == ECONNRESET;
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && (errno == EINTR || (errno == ECONNRESET && !reset)));
  if (size < 0) {
    return std::unexpected(SysError("recvmsg", "the other half of the runtime"));
  }
  if (static_cast<std::size_t>(size) < sizeof header) {
    return std::unexpected(SysError("recvmsg", "the other half of the runtime", ECONNRESET));
  }
  Message result{.tag = static_cast<Tag>(header.tag),
                 .code = header.code,
                 .text = std::string(text.data(), static_cast<std::size_t>(size) - sizeof header),
                 .fd = {}};
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
      result.fd.Reset(fd);
    }
  }
  return result;
}

Result<> AwaitGo(int socket) {
  const Message message = TRY(Receive(socket));
  if (message.tag != Tag::kGo) {
    return std::unexpected(Failure("unexpected message from the runtime", EPROTO));
  }
  return {};
}

}  // namespace nucleus::container
