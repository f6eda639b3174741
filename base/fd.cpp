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

// By way of the stack: a string that is made larger first is written twice, and its pages are new each time.
constexpr std::size_t kChunk = 16384;

}  // namespace

Result<std::string> ReadAll(int fd, const struct stat& status, std::size_t limit, std::string_view name) {
  // A file of procfs is said to be empty, one of sysfs as long as it may be.
  const std::size_t size = S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0;
  if (size > limit) {
    return std::unexpected(SysError("read", name, EFBIG));
  }
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
    // As long as it was said to be, and there was no more of it to be had.
    if (bytes.size() == size && static_cast<std::size_t>(count) < chunk.size()) {
      return bytes;
    }
  }
}

Result<std::string> ReadAll(int fd, std::size_t limit, std::string_view name) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) {
    status = {};
  }
  return ReadAll(fd, status, limit, name);
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
  return ReadAll(fd.get(), status, limit, path);
}

Result<std::string> ReadRecord(const std::string& path) {
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (!fd) {
    return std::unexpected(SysError("open", path));
  }
  std::array<char, kChunk> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): read fills it
  ssize_t count = 0;
  do {
    count = ::read(fd.get(), chunk.data(), chunk.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0 || static_cast<std::size_t>(count) == chunk.size()) {
    return std::unexpected(SysError("read", path, count < 0 ? errno : EFBIG));
  }
  return std::string{chunk.data(), static_cast<std::size_t>(count)};
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
