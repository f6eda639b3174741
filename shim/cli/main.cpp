#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "runtime/sys/fault.h"
#include "runtime/sys/self.h"
#include "shim/backend.h"
#include "shim/cli/commands.h"
#include "shim/cli/front.h"
#include "shim/cli/hint.h"
#include "shim/cli/log.h"
#include "shim/cli/telemetry.h"

namespace {

using namespace nucleus;

// A stream that the caller has closed would be given to the first file that is opened, and that file to the container.
bool HasStandardStreams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", fd == 0 ? O_RDONLY : O_RDWR) != fd) {
      return false;
    }
  }
  return true;
}

// runc's callers know a failed exec by its status.
int FailureStatus(const shim::CommandLine& line) {
  constexpr int kExecFailed = 255;
  return line.name == "exec" ? kExecFailed : 1;
}

// Is this one of the commands that put a process into a container? A word that only looks like one, as a container's
// name might, protects in vain.
bool MayEnterContainer(char** words) {
  for (; *words != nullptr; ++words) {
    const std::string_view word{*words};
    if (word == "create" || word == "run" || word == "exec" || word == "learn") {
      return true;
    }
  }
  return false;
}

int BecomeFront(int argc, char** argv, int options) {
  shim::Log(shim::Level::kError, shim::BecomeFront(argc, argv, options).message);
  return 1;
}

}  // namespace

#ifdef NUCLEUS_STATIC
// What std::terminate calls where nobody said otherwise. libstdc++'s own names the exception's type, for which a static
// program carries a demangler of 50 kB; it is an object of its own there, so that a program can have another.
void __gnu_cxx::__verbose_terminate_handler() {
  constexpr std::string_view kText = "nucleus: an exception that nobody catches\n";
  (void)!::write(STDERR_FILENO, kText.data(), kText.size());
  std::abort();
}
#endif

int main(int argc, char** argv) {
  if (!HasStandardStreams()) {
    return 1;
  }
  // A caller that ignores its children's ends hands that down; hooks and the container's process are waited for here.
  ::signal(SIGCHLD, SIG_DFL);
  sys::ListFaultsIfAsked();
  // At once where nothing stands in front of it, as a person writes it.
  if (argc > 1 && shim::IsFrontCommand(argv[1])) {
    return BecomeFront(argc, argv, 0);
  }
  // Before the command line is looked at closely, which the protected image would have to do again.
  if (MayEnterContainer(argv + 1)) {
    if (const Result<> safe = sys::ProtectSelf(argv); !safe) {
      shim::Log(shim::Level::kError, safe.error().message);
      return 1;
    }
  }
  shim::CommandLine line = shim::ParseCommandLine(argc, argv);
  if (const auto* front = line.command ? std::get_if<shim::FrontCommand>(&*line.command) : nullptr; front != nullptr) {
    return BecomeFront(argc, argv, front->options);
  }
  const Result<int> status =
      shim::RunCommandLine(line, {.native = shim::NativeBackend(), .gvisor = shim::GvisorBackend(argv)});
  if (!status) {
    shim::Log(shim::Level::kError, status.error().message);
    shim::AdviseAfter(line, status.error());
  }
  const int exit_status = status ? *status : FailureStatus(line);
  shim::telemetry::End(exit_status, status ? nullptr : &status.error());
  return exit_status;
}
