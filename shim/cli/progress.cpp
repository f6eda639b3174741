#include "shim/cli/progress.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "base/fd.h"

namespace nucleus::shim {
namespace {

std::uint64_t UsedBytes(const std::string& directory) {
  struct statvfs status{};
  if (directory.empty() || ::statvfs(directory.c_str(), &status) != 0) {
    return 0;
  }
  return std::uint64_t{status.f_blocks - status.f_bfree} * status.f_frsize;
}

bool IsForAPerson() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view{terminal} != "dumb";
}

}  // namespace

ProgressLine::ProgressLine() : wanted_(IsForAPerson()), begin_(std::chrono::steady_clock::now()) {
}

ProgressLine::~ProgressLine() {
  if (shown_) {
    (void)WriteAll(STDERR_FILENO, "\r\x1b[K", "");
  }
}

void ProgressLine::Show(const std::string& what) {
  if (wanted_) {
    const auto gone = std::chrono::steady_clock::now() - begin_;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(gone).count();
    (void)WriteAll(STDERR_FILENO, "\r" + what + " " + std::to_string(seconds) + " s\x1b[K", "");
    shown_ = true;
  }
}

Progress::Progress(std::string what, std::string directory) : what_(std::move(what)), directory_(std::move(directory)) {
  if (line_.wanted()) {
    // Signals are the first thread's.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread{[this] { Show(); }};
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
}

Progress::~Progress() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock{mutex_};
    over_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void Progress::Show() {
  const std::uint64_t before = UsedBytes(directory_);
  std::unique_lock lock{mutex_};
  while (!ended_.wait_for(lock, std::chrono::seconds{1}, [this] { return over_; })) {
    const std::uint64_t now = UsedBytes(directory_);
    constexpr std::uint64_t kMegabyte = 1 << 20;
    const bool grown = now > before + kMegabyte;
    line_.Show(what_ + ":" + (grown ? " " + std::to_string((now - before) / kMegabyte) + " MiB," : ""));
  }
}

}  // namespace nucleus::shim
