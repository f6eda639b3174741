#include "runtime/net/loopback.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"

namespace nucleus::net {

Result<> SetLoopbackUp() {
  // Of any family: an ioctl on the namespace, which takes less than asking through netlink.
  const Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", ""));
  }
  ifreq request{.ifr_ifrn = {"lo"}, .ifr_ifru = {}};
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    return std::unexpected(SysError("set up", "lo"));
  }
  return {};
}

}  // namespace nucleus::net
