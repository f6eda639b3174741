// What takes longer than a second says so to a person: one line on a terminal's standard error, which goes again.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace nucleus::front {

class Progress {
 public:
  // Nothing is shown where standard error is no terminal. With `directory` the line says how much its filesystem has
  // grown meanwhile, which is what is copied there. No process may be made while one lives.
  Progress(std::string what, std::string directory);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

 private:
  void Show();
  std::string what_;
  std::string directory_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace nucleus::front
