#include "front/program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>

#include "runtime/sys/syscalls.h"

#ifndef NUCLEUS_PROGRAM
#define NUCLEUS_PROGRAM ""
#endif

namespace nucleus::front {
namespace {

constexpr const char* kProgram = NUCLEUS_PROGRAM;

}  // namespace

int Globals::EventsFd() const {
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view value;
    if (words[i] == "--events" && i + 1 < words.size()) {
      value = words[i + 1];
    } else if (words[i].starts_with("--events=")) {
      value = std::string_view{words[i]}.substr(std::string_view{"--events="}.size());
    }
    int fd = -1;
    if (value.starts_with("fd:") &&
        std::from_chars(value.data() + 3, value.data() + value.size(), fd).ec == std::errc{}) {
      return fd;
    }
  }
  return -1;
}

Result<Child> StartNucleus(const Globals& globals, const Words& arguments, const std::function<bool()>& before) {
  Words words = {"nucleus"};
  words.insert(words.end(), globals.words.begin(), globals.words.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::vector<char*> argv = sys::Pointers(words);
  Child child;
  child.pid = TRY(sys::Clone3({.pidfd = &child.pidfd}));
  if (child.pid == 0) {
    sigset_t none;
    ::sigemptyset(&none);
    constexpr int kNotExecuted = 127;
    // Descriptors of secrets and the like are not its.
    if (!before() || !sys::CloseOnExecFrom(3) || ::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) {
      ::_exit(kNotExecuted);
    }
    if (const int events = globals.EventsFd(); events > 2) {
      ::fcntl(events, F_SETFD, 0);
    }
    ::execv(kProgram, argv.data());
    constexpr std::string_view kText = "nucleus: cannot execute nucleus itself\n";
    (void)!::write(STDERR_FILENO, kText.data(), kText.size());
    ::_exit(kNotExecuted);
  }
  return child;
}

const char* NucleusProgram() {
  return kProgram;
}

Result<int> WaitFor(Child& child) {
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0) {
    if (errno != EINTR) {
      return std::unexpected(SysError("waitpid", ""));
    }
  }
  child.pidfd.Reset();
  return status;
}

Result<int> RunQuietly(const Globals& globals, const Words& arguments) {
  Child child = TRY(StartNucleus(globals, arguments, [] {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    return null >= 0 && ::dup2(null, 0) == 0 && ::dup2(null, 1) == 1 && ::dup2(null, 2) == 2;
  }));
  return WaitFor(child);
}

}  // namespace nucleus::front
