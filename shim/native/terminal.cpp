#include "shim/native/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

namespace nucleus::shim {

TerminalProxy::TerminalProxy(Fd master) : master_(std::move(master)) {
  ::fcntl(master_.get(), F_SETFL, O_NONBLOCK);
  termios current{};
  if (::tcgetattr(STDIN_FILENO, &current) == 0) {
    saved_ = current;
    ::cfmakeraw(&current);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &current);
  }
  CopySize();
}

TerminalProxy::~TerminalProxy() {
  if (saved_) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &*saved_);
  }
}

void TerminalProxy::CopySize() const {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
  }
}

void TerminalProxy::ReadInput() {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count > 0) {
    pending_.append(buffer.data(), static_cast<std::size_t>(count));
    WriteMaster();
  } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
    input_open_ = false;
  }
}

void TerminalProxy::WriteMaster() {
  const ssize_t count = ::write(master_.get(), pending_.data(), pending_.size());
  if (count > 0) {
    pending_.erase(0, static_cast<std::size_t>(count));
  } else if (count < 0 && errno != EINTR && errno != EAGAIN) {
    pending_.clear();
  }
}

void TerminalProxy::ReadMaster() {
  std::array<char, 16384> buffer{};
  const ssize_t count = ::read(master_.get(), buffer.data(), buffer.size());
  if (count > 0) {
    (void)WriteAll(STDOUT_FILENO, {buffer.data(), static_cast<std::size_t>(count)}, "stdout");
  } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
    // EIO: nobody has the slave open any more.
    master_.Reset();
  }
}

void TerminalProxy::DrainMaster() {
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t count = master_ ? ::read(master_.get(), buffer.data(), buffer.size()) : 0;
    if (count <= 0) {
      return;
    }
    (void)WriteAll(STDOUT_FILENO, {buffer.data(), static_cast<std::size_t>(count)}, "stdout");
  }
}

}  // namespace nucleus::shim
