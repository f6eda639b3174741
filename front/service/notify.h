// The service manager that started this program (sd_notify(3)), where there is one.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::front {

class Notifier {
 public:
  // Takes NOTIFY_SOCKET out of the environment, and what asks for a watchdog, which nothing here answers. The children
  // of this process are not to speak for it.
  static Notifier Take();
  [[nodiscard]] bool wanted() const {
    return !address_.empty();
  }
  // Lines: "READY=1", "STOPPING=1".
  Result<> Tell(std::string_view lines) const;

  // For `nucleus run`: a socket `notify` in the directory, on which it says that the workload has said that it is
  // ready. Its address for NOTIFY_SOCKET is the path.
  Result<> Listen(const std::string& directory);
  [[nodiscard]] int fd() const {
    return proxy_.get();
  }
  // Passes READY=1 on, as of this process; nothing else.
  Result<> PassOn();
  [[nodiscard]] const std::string& proxy() const {
    return proxy_path_;
  }

 private:
  std::string address_;
  std::string proxy_path_;
  Fd proxy_;
};

}  // namespace nucleus::front
