// Carries bytes between the caller's terminal and a container's.
#pragma once

#include <termios.h>

#include <optional>
#include <string>

#include "base/fd.h"

namespace nucleus::shim {

class TerminalProxy {
 public:
  // Sets the caller's terminal to raw mode for as long as this lives, and the container's to the same size.
  explicit TerminalProxy(Fd master);
  ~TerminalProxy();
  TerminalProxy(const TerminalProxy&) = delete;
  TerminalProxy& operator=(const TerminalProxy&) = delete;

  // To poll for reading; -1 when there is nothing more to expect.
  [[nodiscard]] int input() const {
    return input_open_ ? 0 : -1;
  }
  [[nodiscard]] int master() const {
    return master_.get();
  }
  // Should the master be polled for writing: input waits for it.
  [[nodiscard]] bool wants_to_write() const {
    return !pending_.empty();
  }
  void ReadInput();
  void ReadMaster();
  void WriteMaster();
  void CopySize() const;
  // What the container has said before its end.
  void DrainMaster();

 private:
  Fd master_;
  bool input_open_ = true;
  std::string pending_;
  std::optional<termios> saved_;
};

}  // namespace nucleus::shim
