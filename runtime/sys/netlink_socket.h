// What every socket to the kernel's netlink families needs, whatever is said over it. Source: netlink(7).
#pragma once

#include <fcntl.h>
#include <sched.h>

#include <span>
#include <string_view>

#include "base/error.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::sys {

// The next message of the kernel's own, in `buffer`, which has to be large enough for it; `what` names the family in an
// error. A socket with SO_RCVTIMEO: ETIMEDOUT when nothing came.
Result<std::string_view> ReceiveFromKernel(int socket, std::span<char> buffer, std::string_view what);

// `open()` while this thread is in the network namespace of a descriptor: a netlink socket stays where it was made.
template <class Open>
auto InNetworkNamespace(int netns, Open open) -> decltype(open()) {
  constexpr const char* kWhat = "network namespace";
  const Fd home = TRY(sys::Open("/proc/self/ns/net", O_RDONLY));
  TRY(SetNs(netns, CLONE_NEWNET, kWhat));
  auto result = open();
  TRY(SetNs(home.get(), CLONE_NEWNET, kWhat));
  return result;
}

}  // namespace nucleus::sys
