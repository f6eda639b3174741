#include "runtime/container/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "runtime/sys/syscalls.h"

namespace nucleus::container {

bool SaysReady(std::string_view message) {
  while (!message.empty()) {
    const std::string_view line = message.substr(0, message.find('\n'));
    if (line == "READY=1") {
      return true;
    }
    message.remove_prefix(std::min(message.size(), line.size() + 1));
  }
  return false;
}

Result<Fd> ConnectManager(const std::string& manager) {
  if (manager.front() != '@') {
    return sys::ConnectUnix(manager, SOCK_DGRAM);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (manager.size() > sizeof address.sun_path) {
    return std::unexpected(SysError("connect", manager, ENAMETOOLONG));
  }
  std::memcpy(address.sun_path + 1, manager.data() + 1, manager.size() - 1);
  Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + manager.size());
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return std::unexpected(SysError("connect", manager));
  }
  return socket;
}

}  // namespace nucleus::container
