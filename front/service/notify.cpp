#include "front/service/notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "runtime/container/service_manager.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxMessage = 4096;

}  // namespace

Notifier Notifier::Take() {
  Notifier notifier;
  if (const char* address = std::getenv("NOTIFY_SOCKET");
      address != nullptr && (address[0] == '/' || address[0] == '@') && address[1] != '\0') {
    notifier.address_ = address;
  }
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
    ::unsetenv(name);
  }
  return notifier;
}

Result<> Notifier::Tell(std::string_view lines) const {
  if (address_.empty()) {
    return {};
  }
  const Fd socket = TRY_IN("NOTIFY_SOCKET", container::ConnectManager(address_));
  if (::send(socket.get(), lines.data(), lines.size(), MSG_NOSIGNAL) < 0) {
    return std::unexpected(SysError("NOTIFY_SOCKET: send", address_));
  }
  return {};
}

Result<> Notifier::Listen(const std::string& directory) {
  if (address_.empty()) {
    return {};
  }
  const Fd place = TRY(sys::Open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  proxy_ = Fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!proxy_) {
    return std::unexpected(SysError("socket", "notify"));
  }
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/notify", place.get());
  constexpr mode_t kOwner = 0177;
  const mode_t before = ::umask(kOwner);
  const int bound = ::bind(proxy_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
  const int error = errno;
  ::umask(before);
  if (bound != 0) {
    return std::unexpected(SysError("bind", directory + "/notify", error));
  }
  proxy_path_ = directory + "/notify";
  return {};
}

Result<> Notifier::PassOn() {
  std::array<char, kMaxMessage> buffer{};
  for (;;) {
    // A descriptor that comes along (BARRIER=1) is closed by the kernel: there is no room for it, and that is the
    // answer.
    const ssize_t count = ::recv(proxy_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return errno == EAGAIN ? Result<>{} : std::unexpected(SysError("receive", "notify"));
    }
    const auto length = static_cast<std::size_t>(count);
    if (length <= buffer.size() && container::SaysReady({buffer.data(), length})) {
      TRY(Tell("READY=1\nMAINPID=" + std::to_string(::getpid()) + "\n"));
    }
  }
}

}  // namespace nucleus::front
