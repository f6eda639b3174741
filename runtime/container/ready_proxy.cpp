#include "runtime/container/ready_proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "runtime/container/service_manager.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

// What is longer is not read: a word of eight letters fits in many times.
constexpr std::size_t kMaxMessage = 4096;
// So many are read before the caller looks at its other descriptors.
constexpr int kMaxAtOnce = 16;
// More than the kernel keeps for a socket (net.unix.max_dgram_qlen, 10 or 512).
constexpr int kMaxQueued = 1024;
// How long a service manager may take to read what it was sent; it may be busy starting a whole machine.
constexpr int kBarrierMs = 30000;

// The service manager closes the descriptor that comes with this when it has read all that came before.
Result<> Barrier(int connection, const std::string& manager) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  const Fd ours{ends[0]};
  Fd theirs{ends[1]};
  TRY(sys::SendFd(connection, theirs.get(), "BARRIER=1", manager));
  theirs.Reset();
  pollfd entry{.fd = ours.get(), .events = 0, .revents = 0};
  while (::poll(&entry, 1, kBarrierMs) < 0 && errno == EINTR) {
  }
  return entry.revents != 0 ? Result<>{} : std::unexpected(SysError("wait for", manager, ETIMEDOUT));
}

}  // namespace

Result<std::unique_ptr<ReadyProxy>> ReadyProxy::Listen(int directory, const std::string& manager) {
  std::unique_ptr<ReadyProxy> proxy;
  if (manager.empty()) {
    return proxy;
  }
  const Fd place{::openat(directory, kNotifyDirectory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!place && errno == ENOENT) {
    return proxy;
  }
  // One may be there from a `start` that did not come to its end.
  if (!place || (::unlinkat(place.get(), kNotifySocket, 0) != 0 && errno != ENOENT)) {
    return std::unexpected(SysError("open", kNotifyDirectory));
  }
  Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", kNotifySocket));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", place.get(), kNotifySocket);
  // Whoever the process in the container is, it may write to it.
  const mode_t before = ::umask(0);
  const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (bound != 0) {
    return std::unexpected(SysError("bind", kNotifySocket, error));
  }
  proxy.reset(new ReadyProxy{std::move(socket), manager});
  return proxy;
}

Result<bool> ReadyProxy::Take(pid_t pid) {
  std::array<char, kMaxMessage> buffer{};
  for (int i = 0; i < kMaxAtOnce; ++i) {
    // Descriptors that come along are dropped by the kernel: there is no room for them.
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0 && errno == EAGAIN) {
      return false;
    }
    if (size < 0) {
      return std::unexpected(SysError("receive", kNotifySocket));
    }
    const auto length = static_cast<std::size_t>(size);
    if (length <= buffer.size() && SaysReady({buffer.data(), length})) {
      connection_ = TRY_IN("NOTIFY_SOCKET", ConnectManager(manager_));
      const std::string message = "READY=1\nMAINPID=" + std::to_string(pid) + "\n";
      if (::send(connection_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
        return std::unexpected(SysError("NOTIFY_SOCKET: send", manager_));
      }
      return true;
    }
  }
  return false;
}

Result<> ReadyProxy::Wait(int init, pid_t pid) {
  for (;;) {
    enum { kSocket, kInit, kCount };
    std::array<pollfd, kCount> entries{};
    entries[kSocket] = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
    entries[kInit] = {.fd = init, .events = POLLIN, .revents = 0};
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    // First what it said, then whether it is still there: its last word counts, but not that of processes it left.
    const bool ended = entries[kInit].revents != 0;
    bool ready = TRY(Take(pid));
    for (int i = 0; ended && !ready && i < kMaxQueued / kMaxAtOnce; ++i) {
      ready = TRY(Take(pid));
    }
    if (ready) {
      TRY_IN("NOTIFY_SOCKET", Barrier(connection_.get(), manager_));
    }
    if (ready || ended) {
      return {};
    }
  }
}

}  // namespace nucleus::container
