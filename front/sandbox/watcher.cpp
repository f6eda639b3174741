#include "front/sandbox/watcher.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "front/sandbox/tree.h"
#include "front/sandbox/write_back.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr int kRunnerWaitMs = 30000;

[[noreturn]] void Watch(int line, const Globals& globals, const std::string& id, const std::string& directory,
                        const std::string& draft, const std::string& mark, const std::string& workspace) {
  // Out of reach of the terminal and of signals to the caller's process group; holding no stream that somebody reads to
  // its end.
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; null >= 0 && fd <= 2; ++fd) {
    ::dup2(null, fd);
  }
  (void)sys::CloseFrom(3, {line});
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  pid_t runner = 0;
  Fd runner_fd;
  for (;;) {
    pid_t told = 0;
    const ssize_t count = ::read(line, &told, sizeof told);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count != sizeof told) {
      break;
    }
    runner = told;
    if (Result<Fd> opened = sys::PidfdOpen(runner); opened) {
      runner_fd = *std::move(opened);
    }
  }
  if (runner_fd) {
    (void)sys::PidfdSendSignal(runner_fd.get(), SIGKILL);
    (void)sys::PidfdWait(runner_fd.get(), kRunnerWaitMs);
  }
  if (runner != 0) {
    (void)RunQuietly(globals, {"delete", "--force", id});
  }
  if (!workspace.empty()) {
    if (const Result<Fd> tree = sys::Open(workspace, O_RDONLY | O_DIRECTORY); tree) {
      (void)CompleteWriteBack(tree->get());
    }
  }
  (void)RemoveTree(draft);
  // Another's, where this one was too late for the name.
  if (::access((directory + "/" + mark).c_str(), F_OK) == 0) {
    (void)RemoveTree(directory);
  }
  ::_exit(0);
}

}  // namespace

Result<Watcher> Watcher::Start(const Globals& globals, const std::string& id, const std::string& directory,
                               const std::string& draft, const std::string& mark, const std::string& workspace) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe2", ""));
  }
  const Fd theirs{ends[0]};
  Watcher watcher;
  watcher.line_ = Fd{ends[1]};
  watcher.process_.pid = TRY(sys::Clone3({.pidfd = &watcher.process_.pidfd}));
  if (watcher.process_.pid == 0) {
    watcher.line_.Reset();
    Watch(theirs.get(), globals, id, directory, draft, mark, workspace);
  }
  return watcher;
}

Watcher::~Watcher() {
  if (process_.pidfd) {
    // Before the line closes, which would set it to work.
    (void)sys::PidfdSendSignal(process_.pidfd.get(), SIGKILL);
    (void)WaitFor(process_);
  }
}

bool Watcher::Tell(pid_t runner) const {
  return ::write(line_.get(), &runner, sizeof runner) == sizeof runner;
}

}  // namespace nucleus::front
