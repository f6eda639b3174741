#include "runtime/sys/own_program.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "runtime/sys/syscalls.h"

namespace nucleus::sys {
namespace {

struct Execution {
  int file;
  char** argv;
  char** envp;
  std::vector<std::pair<int, int>>& descriptors;
  bool session;
  int error = 0;  // what kept it from being executed
};

// On a stack of its own, in the memory of the caller, which waits until this has executed: a copy of that memory would
// take longer than the program's own start.
int Execute(void* argument) {
  auto& given = *static_cast<Execution*>(argument);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Out of the way of the numbers that they are to have.
  constexpr int kAbove = 10;
  const auto lift = [](int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, kAbove); };
  const int null = lift(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int file = lift(given.file);
  for (auto& [from, to] : given.descriptors) {
    from = lift(from < 0 ? null : from);
  }
  int last = STDERR_FILENO;
  const bool placed = std::ranges::all_of(given.descriptors, [&last](const auto& entry) {
    last = std::max(last, entry.second);
    return ::dup2(entry.first, entry.second) == entry.second;
  });
  if (placed && CloseOnExecFrom(last + 1) && (!given.session || ::setsid() >= 0)) {
    ::execveat(file, "", given.argv, given.envp, AT_EMPTY_PATH);
  }
  given.error = errno;
  constexpr int kNotExecuted = 127;
  ::_exit(kNotExecuted);
}

}  // namespace

Result<Fd> OpenOwnProgram(const char* path) {
  Fd program = TRY(Open(path, O_PATH));
  const struct stat status = TRY(Fstat(program.get(), path));
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != ::geteuid()) ||
      (status.st_mode & kOthersWrite) != 0) {
    return std::unexpected(Failure(std::string{path} + " is not root's alone to change", EPERM));
  }
  return program;
}

Result<OwnProcess> StartOwnProgram(OwnProgram program) {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (std::ranges::none_of(program.descriptors, [stream](const auto& entry) { return entry.second == stream; })) {
      program.descriptors.emplace_back(-1, stream);
    }
  }
  std::vector<char*> argv = Pointers(program.words);
  std::vector<char*> envp = Pointers(program.environment);
  Execution execution{.file = program.file,
                      .argv = argv.data(),
                      .envp = envp.data(),
                      .descriptors = program.descriptors,
                      .session = program.session};
  constexpr std::size_t kStack = std::size_t{64} << 10;
  const auto stack = std::make_unique_for_overwrite<char[]>(kStack);
  // No handler of this process may run in the other: it has the same memory.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  int number = -1;
  const pid_t pid =
      ::clone(&Execute, stack.get() + kStack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &execution, &number);
  const int cloned = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) {
    return std::unexpected(SysError("clone", program.words[0], cloned));
  }
  Fd pidfd{number};
  if (execution.error != 0) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return std::unexpected(SysError("execute", program.words[0], execution.error));
  }
  return OwnProcess{.pid = pid, .pidfd = std::move(pidfd)};
}

Result<Fd> InMemory(std::string_view text, const char* name) {
  Fd file{::memfd_create(name, MFD_CLOEXEC)};
  if (!file) {
    return std::unexpected(SysError("memfd_create", name));
  }
  TRY(WriteAll(file.get(), text, name));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) {
    return std::unexpected(SysError("lseek", name));
  }
  return file;
}

}  // namespace nucleus::sys
