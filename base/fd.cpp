#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace nucleus {

void Fd::Reset(int fd) {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  fd_ = fd;
}

namespace {

Result<std::string> ReadChecked(int fd, const struct stat& status, std::size_t limit, std::string_view name) {
  if (S_ISREG(status.st_mode) && status.st_size > 0 && static_cast<std::size_t>(status.st_size) > limit) {
    return std::unexpected(SysError("read", name, EFBIG));
  }
  // By way of the stack: a string that is made larger first is written twice, and its pages are new each time.
  constexpr std::size_t kChunk = 16384;
  std::array<char, kChunk> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): read fills it
  std::string bytes;
  for (;;) {
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return std::unexpected(SysError("read", name));
    }
    if (count == 0) {
      return bytes;
    }
    bytes.append(chunk.data(), static_cast<std::size_t>(count));
    if (bytes.size() > limit) {
      return std::unexpected(SysError("read", name, EFBIG));
    }
  }
}

}  // namespace

Result<std::string> ReadAll(int fd, std::size_t limit, std::string_view name) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) {
    status = {};
  }
  return ReadChecked(fd, status, limit, name);
}

Result<std::string> ReadFile(const std::string& path, std::size_t limit) {
  // A FIFO is read where somebody writes to it (a shell's <(...)); opening one never waits for a writer.
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    return std::unexpected(SysError("open", path));
  }
  // A regular file never blocks: of the kernel's own there are many to read.
  if (!S_ISREG(status.st_mode) && ::fcntl(fd.get(), F_SETFL, 0) != 0) {
    return std::unexpected(SysError("open", path));
  }
  return ReadChecked(fd.get(), status, limit, path);
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
