// The terminal of a process in a sandbox, as runsc hands its master over.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"

namespace nucleus::gvisor {

class ConsoleListener {
 public:
  // A socket in the gvisor directory of the state directory `state`.
  static Result<ConsoleListener> Make(int state);
  // For runsc, which is executed in the gvisor directory; short, however long that one's path is.
  [[nodiscard]] const std::string& path() const {
    return path_;
  }
  // What runsc has sent by now. It must have ended, or sent it.
  Result<Fd> Take();

  ConsoleListener(ConsoleListener&&) noexcept = default;
  ConsoleListener& operator=(ConsoleListener&&) noexcept = delete;
  ~ConsoleListener();

 private:
  ConsoleListener() = default;
  Fd socket_;
  Fd state_;
  std::string name_;
  std::string path_;
};

void SetSize(int terminal, const std::optional<oci::ConsoleSize>& size);

}  // namespace nucleus::gvisor
