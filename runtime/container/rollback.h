// Undo steps, pushed as each resource is made, run backwards unless the whole has come to its end.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace nucleus::container {

class Rollback {
 public:
  Rollback() = default;
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() {
    Undo();
  }
  void Undo() {
    while (!steps_.empty()) {
      steps_.back()();
      steps_.pop_back();
    }
  }
  void Push(std::function<void()> step) {
    steps_.push_back(std::move(step));
  }
  void Commit() {
    steps_.clear();
  }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace nucleus::container
