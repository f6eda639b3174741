#include "runtime/sys/fault.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace nucleus::sys {

#ifdef NUCLEUS_FAULTS

namespace {

// Whether NUCLEUS_FAULT names PREFIX + STAGE.
bool IsNamed(std::string_view prefix, std::string_view stage) {
  static const char* const kVariable = std::getenv("NUCLEUS_FAULT");
  std::string_view rest = kVariable != nullptr ? kVariable : "";
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    if (entry.starts_with(prefix) && entry.substr(prefix.size()) == stage) {
      return true;
    }
  }
  return false;
}

// The name tells that the stage is reached: who sees it may send SIGCONT at once, so that is blocked before.
void StopHere(std::string_view stage) {
  constexpr std::size_t kNameLimit = 15;
  std::array<char, kNameLimit + 1> name{};
  ::prctl(PR_GET_NAME, name.data());
  const auto rename = [stage] { ::prctl(PR_SET_NAME, std::string{stage.substr(0, kNameLimit)}.c_str()); };
  if (::getpid() == 1) {
    // The first process of a pid namespace does not stop itself; what comes from outside waits while it is blocked.
    sigset_t wake;
    sigset_t before;
    sigemptyset(&wake);
    sigaddset(&wake, SIGCONT);
    ::sigprocmask(SIG_BLOCK, &wake, &before);
    rename();
    int signal = 0;
    ::sigwait(&wake, &signal);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
  } else {
    rename();
    ::raise(SIGSTOP);
  }
  ::prctl(PR_SET_NAME, name.data());
}

// NUCLEUS_FAULT_TRACE=FILE: "PID STAGE" for every stage that somebody comes to, in the order of all of them.
void Note(std::string_view stage) {
  static const char* const kFile = std::getenv("NUCLEUS_FAULT_TRACE");
  const int fd = kFile != nullptr ? ::open(kFile, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
  if (fd >= 0) {
    const std::string line = std::to_string(::getpid()) + " " + std::string{stage} + "\n";
    (void)!::write(fd, line.data(), line.size());
    ::close(fd);
  }
}

}  // namespace

Result<> InjectedFault(std::string_view stage) {
  assert(std::find(kFaultStages.begin(), kFaultStages.end(), stage) != kFaultStages.end());
  Note(stage);
  if (IsNamed("stop:", stage)) {
    StopHere(stage);
  }
  if (IsNamed("kill:", stage)) {
    ::raise(SIGKILL);
    ::_exit(128 + SIGKILL);  // the first process of a pid namespace does not hear it from inside
  }
  if (IsNamed("", stage)) {
    return std::unexpected(SysError("injected fault at", stage, EIO));
  }
  return {};
}

void ListFaultsIfAsked() {
  const char* wanted = std::getenv("NUCLEUS_FAULT");
  if (wanted == nullptr || std::string_view{wanted} != "list") {
    return;
  }
  for (const std::string_view stage : kFaultStages) {
    std::printf("%.*s\n", static_cast<int>(stage.size()), stage.data());
  }
  std::exit(0);
}

#else

Result<> InjectedFault(std::string_view) {
  return {};
}

void ListFaultsIfAsked() {
}

#endif

}  // namespace nucleus::sys
