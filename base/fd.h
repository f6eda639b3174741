// An owned file descriptor, and reading a whole file through one.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <string>
#include <utility>

#include "base/error.h"

namespace nucleus {

// Closes its descriptor when it goes. Move-only; -1 means empty.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
  }
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset(std::exchange(other.fd_, -1));
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    Reset();
  }

  [[nodiscard]] int get() const {
    return fd_;
  }
  [[nodiscard]] bool valid() const {
    return fd_ >= 0;
  }
  explicit operator bool() const {
    return valid();
  }
  // Gives the descriptor up without closing it.
  int Release() {
    return std::exchange(fd_, -1);
  }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// Reads `fd` to its end. `name` is for the error. EFBIG when there is more than `limit` bytes.
Result<std::string> ReadAll(int fd, std::size_t limit, std::string_view name);

// The same with what fstat(2) has said of it.
Result<std::string> ReadAll(int fd, const struct stat& status, std::size_t limit, std::string_view name);

// Opens `path` (O_RDONLY|O_CLOEXEC) and reads it whole. Errors name the path.
Result<std::string> ReadFile(const std::string& path, std::size_t limit);

// The same of a file of procfs or cgroupfs that the kernel makes in one piece (a process's status, one value): a read
// that leaves room in its buffer has given all of it.
Result<std::string> ReadRecord(const std::string& path);

// Writes all of `bytes`; retries on EINTR and short writes.
Result<> WriteAll(int fd, std::string_view bytes, std::string_view name);

}  // namespace nucleus
