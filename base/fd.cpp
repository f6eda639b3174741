#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace nucleus {

void Fd::Reset(int fd) {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  fd_ = fd;
}

Result<std::string> ReadAll(int fd, std::size_t limit, std::string_view name) {
  constexpr std::size_t kChunk = 16384;
  std::string bytes;
  struct stat status{};
  std::size_t room = kChunk;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    if (static_cast<std::size_t>(status.st_size) > limit) {
      return std::unexpected(SysError("read", name, EFBIG));
    }
    room = static_cast<std::size_t>(status.st_size) + 1;
  }
  for (;;) {
    const std::size_t old = bytes.size();
    bytes.resize(old + room);
    const ssize_t count = ::read(fd, bytes.data() + old, room);
    if (count < 0) {
      bytes.resize(old);
      if (errno == EINTR) {
        continue;
      }
      return std::unexpected(SysError("read", name));
    }
    bytes.resize(old + static_cast<std::size_t>(count));
    if (count == 0) {
      return bytes;
    }
    if (bytes.size() > limit) {
      return std::unexpected(SysError("read", name, EFBIG));
    }
    room = std::max(room - static_cast<std::size_t>(count), limit < kChunk ? limit + 1 : kChunk);
  }
}

Result<std::string> ReadFile(const std::string& path, std::size_t limit) {
  // A FIFO is read where somebody writes to it (a shell's <(...)); opening one never waits for a writer.
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (!fd || ::fcntl(fd.get(), F_SETFL, 0) != 0) {
    return std::unexpected(SysError("open", path));
  }
  return ReadAll(fd.get(), limit, path);
}

Result<> WriteAll(int fd, std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return std::unexpected(SysError("write", name));
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace nucleus
