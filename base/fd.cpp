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

// By way of the stack, and not by much of it: a page of it that nobody has used before costs more than a system call.
// The kernel's own files are given out in such parts in any case.
constexpr std::size_t kChunk = 4096;

Result<std::size_t> ReadSome(int fd, char* to, std::size_t most, std::string_view name) {
  for (;;) {
    const ssize_t count = ::read(fd, to, most);
    if (count >= 0) {
      return static_cast<std::size_t>(count);
    }
    if (errno != EINTR) {
      return std::unexpected(SysError("read", name));
    }
  }
}

}  // namespace

Result<std::string> ReadAll(int fd, const struct stat& status, std::size_t limit, std::string_view name) {
  // A file of procfs is said to be empty, one of sysfs as long as it may be.
  const std::size_t size = S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0;
  if (size > limit) {
    return std::unexpected(SysError("read", name, EFBIG));
  }
  std::string bytes;
  if (size > kChunk) {
    // What is long goes to where it stays. There is room for a byte more than there is said to be.
    Result<std::size_t> count{0};
    bytes.resize_and_overwrite(size + 1, [&](char* data, std::size_t room) {
      count = ReadSome(fd, data, room, name);
      return count.value_or(0);
    });
    if (!count) {
      return std::unexpected(count.error());
    }
    if (bytes.size() == size) {
      return bytes;
    }
  }
  std::array<char, kChunk> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): read fills it
  for (;;) {
    if (bytes.size() > limit) {
      return std::unexpected(SysError("read", name, EFBIG));
    }
    const std::size_t count = TRY(ReadSome(fd, chunk.data(), chunk.size(), name));
    bytes.append(chunk.data(), count);
    // Or as long as it was said to be, and there was no more of it to be had.
    if (count == 0 || (bytes.size() == size && count < chunk.size())) {
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
  constexpr std::size_t kMost = 16384;
  std::array<char, kMost> record;  // NOLINT(cppcoreguidelines-pro-type-member-init): read fills it
  const std::size_t count = TRY(ReadSome(fd.get(), record.data(), record.size(), path));
  if (count == record.size()) {
    return std::unexpected(SysError("read", path, EFBIG));
  }
  return std::string{record.data(), count};
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
