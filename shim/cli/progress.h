// What takes longer than a second says so to a person: one line on a terminal's standard error, which goes again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace nucleus::shim {

// The line, for who waits in a loop of his own. Its time runs from when it was made.
class ProgressLine {
 public:
  ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // Takes it away.
  ~ProgressLine();
  // Whether standard error is a person's terminal; else Show() does nothing.
  [[nodiscard]] bool wanted() const {
    return wanted_;
  }
  // "WHAT 3 s". To be called once a second.
  void Show(const std::string& what);

 private:
  bool wanted_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point begin_;
};

// Shows one by a thread, as long as it lives.
class Progress {
 public:
  // With `directory` the line says how much its filesystem has grown meanwhile, which is what is copied there. No
  // process may be made while one lives.
  Progress(std::string what, std::string directory);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

 private:
  void Show();
  std::string what_;
  std::string directory_;
  ProgressLine line_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace nucleus::shim
