#include "front/compose/work.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "base/one_line.h"
#include "runtime/sys/syscalls.h"
#include "shim/cli/progress.h"

namespace nucleus::front::compose {
namespace {

constexpr const char* kFailed = "!";  // in front of the error

// What has come so far, as lines.
std::vector<std::string> ReadLines(int fd, std::string& rest) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size <= 0) {
      break;
    }
    rest.append(buffer.data(), static_cast<std::size_t>(size));
  }
  std::vector<std::string> lines;
  for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
    lines.push_back(rest.substr(0, end));
    rest.erase(0, end + 1);
  }
  return lines;
}

}  // namespace

Result<> Work::Begin(const std::string& name, const Body& body) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  Fd line{ends[0]};
  const Fd theirs{ends[1]};
  if (::fcntl(line.get(), F_SETFL, O_NONBLOCK) != 0) {
    return std::unexpected(SysError("fcntl", ""));
  }
  Child process;
  process.pid = TRY(sys::Clone3({.pidfd = &process.pidfd}));
  if (process.pid == 0) {
    const auto tell = [&theirs](const std::string& word) { (void)WriteAll(theirs.get(), word + "\n", "pipe"); };
    const Result<> done = body(tell);
    if (!done) {
      tell(kFailed + OneLine(done.error().message));
    }
    ::_exit(done ? 0 : 1);
  }
  workers_.push_back({.name = name, .process = std::move(process), .line = std::move(line), .rest = {}, .error = {}});
  return {};
}

Result<std::vector<Work::News>> Work::Await() {
  std::vector<News> all;
  shim::ProgressLine line;
  constexpr int kSecondMs = 1000;
  while (all.empty() && !workers_.empty()) {
    std::vector<pollfd> entries;
    for (const Worker& worker : workers_) {
      // What it starts may keep its end of the pipe: its own end is known by the process.
      entries.push_back({.fd = worker.line.get(), .events = POLLIN, .revents = 0});
      entries.push_back({.fd = worker.process.pidfd.get(), .events = POLLIN, .revents = 0});
    }
    const int ready = ::poll(entries.data(), entries.size(), line.wanted() ? kSecondMs : -1);
    if (ready < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    if (ready == 0) {
      line.Show("waiting for " + Names() + ":");
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = workers_[i];
      News news{.name = worker.name, .words = {}, .over = entries[2 * i + 1].revents != 0, .error = {}};
      if (!news.over && entries[2 * i].revents == 0) {
        continue;
      }
      for (std::string& word : ReadLines(worker.line.get(), worker.rest)) {
        if (word.starts_with(kFailed)) {
          worker.error = word.substr(1);
        } else {
          news.words.push_back(std::move(word));
        }
      }
      if (news.over) {
        const int status = TRY(WaitFor(worker.process));
        news.error = worker.error;
        if (status != 0 && news.error.empty()) {
          news.error = WIFSIGNALED(status) ? "was killed by signal " + std::to_string(WTERMSIG(status)) : "failed";
        }
      }
      all.push_back(std::move(news));
    }
    std::erase_if(workers_, [](const Worker& worker) { return !worker.process.pidfd; });
  }
  return all;
}

std::string Work::Names() const {
  std::string names;
  for (const Worker& worker : workers_) {
    names += (names.empty() ? "" : ", ") + worker.name;
  }
  return names;
}

void Work::End(const std::string& name) {
  for (const Worker& worker : workers_) {
    if (worker.name == name) {
      (void)sys::PidfdSendSignal(worker.process.pidfd.get(), SIGKILL);
    }
  }
}

}  // namespace nucleus::front::compose
