// Work on several services at once: each in a process of its own, which tells how far it is.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "front/program.h"

namespace nucleus::front::compose {

class Work {
 public:
  // In the new process: says a word ("started") to this one.
  using Tell = std::function<void(const std::string&)>;
  using Body = std::function<Result<>(const Tell&)>;

  // Runs `body` there. `name` is for who asks.
  Result<> Begin(const std::string& name, const Body& body);

  struct News {
    std::string name;
    std::vector<std::string> words;  // since the last ones
    bool over = false;
    std::string error;  // of one that is over; empty: it went well
  };
  // Waits until there are any, and tells a person of it.
  Result<std::vector<News>> Await();
  [[nodiscard]] bool empty() const {
    return workers_.empty();
  }
  // Ends one by force. It is still to be awaited.
  void End(const std::string& name);

 private:
  struct Worker {
    std::string name;
    Child process;
    Fd line;
    std::string rest;
    std::string error;
  };
  [[nodiscard]] std::string Names() const;
  std::vector<Worker> workers_;
};

}  // namespace nucleus::front::compose
