#include "front/service/control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "front/service/record.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {

std::string FormatPacket(Word word, std::string_view text) {
  return std::string(1, static_cast<char>(word)) + std::string{text};
}

Result<std::optional<Packet>> Receive(int socket) {
  std::array<char, kMaxPacket + 1> buffer{};
  for (;;) {
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0 && errno != ECONNRESET) {
      return std::unexpected(SysError("receive", ""));
    }
    if (count <= 0) {
      return std::optional<Packet>{};
    }
    return Packet{.word = static_cast<Word>(buffer[0]), .text{buffer.data() + 1, static_cast<std::size_t>(count - 1)}};
  }
}

Result<Fd> ConnectSupervisor(const Globals& globals, const std::string& id) {
  return sys::ConnectUnix(TRY(ServicesDirectory(globals)) + "/" + id + "/" + kControlSocket, SOCK_SEQPACKET);
}

Result<> Send(int socket, Word word, std::string_view text) {
  const std::string packet = FormatPacket(word, text);
  while (::send(socket, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) {
      return std::unexpected(SysError("send", ""));
    }
  }
  return {};
}

Result<Fd> ListenControl(int directory) {
  Fd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", kControlSocket));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, kControlSocket);
  constexpr mode_t kOwner = 0177;
  const mode_t before = ::umask(kOwner);
  const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  constexpr int kBacklog = 64;
  if (bound != 0 || ::listen(socket.get(), kBacklog) != 0) {
    return std::unexpected(SysError("listen", kControlSocket, bound != 0 ? error : errno));
  }
  return socket;
}

}  // namespace nucleus::front
