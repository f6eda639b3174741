#include "front/sandbox/run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <ctime>

#include "front/sandbox/bundle.h"
#include "front/sandbox/memory_directory.h"
#include "front/sandbox/tree.h"
#include "front/sandbox/watcher.h"
#include "front/sandbox/workspace_copy.h"
#include "runtime/sys/syscalls.h"
#include "shim/cli/log.h"

namespace nucleus::front {
namespace {

constexpr int kTimedOut = 124;  // as timeout(1) has it
constexpr int kSignalBase = 128;
// After --timeout's SIGTERM.
constexpr int kGraceMs = 5000;

Result<std::string> NewId() {
  std::array<unsigned char, 6> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return std::unexpected(SysError("getrandom", ""));
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id = "sandbox-";
  for (const unsigned char byte : bytes) {
    id += kDigits[byte >> 4U];
    id += kDigits[byte & 0xfU];
  }
  return id;
}

std::int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

Result<Fd> AllSignals() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int signal : {SIGPIPE, SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
    ::sigdelset(&set, signal);
  }
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return std::unexpected(SysError("sigprocmask", ""));
  }
  Fd fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  return fd ? Result<Fd>{std::move(fd)} : std::unexpected(SysError("signalfd", ""));
}

// What is sent to this process goes on to `nucleus run`, and from there to the command. What the terminal sends, it
// sends to both.
void PassOn(int signals, int runner) {
  signalfd_siginfo info{};
  while (::read(signals, &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal != SIGCHLD && info.ssi_code != SI_KERNEL) {
      (void)sys::PidfdSendSignal(runner, signal);
    }
  }
}

struct Outcome {
  int wait_status = 0;
  bool timed_out = false;
};

Result<Outcome> Accompany(const Globals& globals, const SandboxOptions& options, const std::string& id, int signals,
                          Child& runner) {
  Outcome outcome;
  // --timeout ends it in three steps: SIGTERM, SIGKILL to the container, SIGKILL to who makes one.
  int steps = 0;
  std::int64_t next = options.timeout_ms > 0 ? NowMs() + options.timeout_ms : 0;
  for (;;) {
    std::array<pollfd, 2> entries = {
        {{.fd = signals, .events = POLLIN, .revents = 0}, {.fd = runner.pidfd.get(), .events = POLLIN, .revents = 0}}};
    const int wait = next == 0 ? -1 : static_cast<int>(std::max<std::int64_t>(0, next - NowMs()));
    if (::poll(entries.data(), entries.size(), wait) < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    if (entries[1].revents != 0) {
      outcome.wait_status = TRY(WaitFor(runner));
      return outcome;
    }
    if (entries[0].revents != 0) {
      PassOn(signals, runner.pidfd.get());
    }
    if (next == 0 || NowMs() < next) {
      continue;
    }
    outcome.timed_out = true;
    next = NowMs() + kGraceMs;
    if (steps == 0) {
      (void)sys::PidfdSendSignal(runner.pidfd.get(), SIGTERM);
    } else if (steps == 1) {
      TRY(RunQuietly(globals, {"kill", id, "KILL"}));
    } else {
      (void)sys::PidfdSendSignal(runner.pidfd.get(), SIGKILL);
    }
    ++steps;
  }
}

Result<int> PrintBundle(const SandboxOptions& options, const Ids& ids) {
  const std::string& path = options.print_bundle;
  if (!options.workspace.empty() && options.workspace_mode == WorkspaceMode::kCopy) {
    return std::unexpected(Failure(
        "--print-bundle: a workspace is copied and written back by `sandbox`, not by a bundle: DIR:rw or DIR:ro",
        EINVAL));
  }
  constexpr mode_t kMode = 0711;
  const bool made = ::mkdir(path.c_str(), kMode) == 0;
  if (!made && errno != EEXIST) {
    return std::unexpected(SysError("--print-bundle: mkdir", path));
  }
  // Of a directory that was there nothing is ever removed: what is in the way is an error of its own.
  if (!made && ::rmdir(path.c_str()) != 0) {
    return std::unexpected(SysError("--print-bundle", path));
  }
  if (!made && ::mkdir(path.c_str(), kMode) != 0) {
    return std::unexpected(SysError("--print-bundle: mkdir", path));
  }
  const bool terminal = !options.no_terminal && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  if (Result<> written =
          WriteBundle(options, ids, {.path = path, .printed = true, .terminal = terminal, .workspace = {}});
      !written) {
    (void)RemoveTree(path);
    return std::unexpected(written.error());
  }
  return 0;
}

// The directory of this sandbox, whole with its mark, or an error.
Result<> MakeDirectory(const std::string& directory, const std::string& draft, const std::string& mark,
                       const std::string& id) {
  constexpr mode_t kMode = 0711;
  if (::mkdir(draft.c_str(), kMode) != 0 || ::mkdir((draft + "/" + mark).c_str(), kMode) != 0) {
    return std::unexpected(SysError("mkdir", draft));
  }
  if (::renameat2(AT_FDCWD, draft.c_str(), AT_FDCWD, directory.c_str(), RENAME_NOREPLACE) != 0) {
    const Error error =
        errno == EEXIST ? Failure("sandbox: " + id + " exists already", EEXIST) : SysError("rename", draft);
    (void)RemoveTree(draft);
    return std::unexpected(error);
  }
  return {};
}

// A copy that cannot be written back is somebody's work: it stays.
Result<> Return(WorkspaceCopy& workspace, const std::string& id, const std::string& directory) {
  std::vector<std::string> left_out;
  const Result<> written = workspace.WriteBackChanges(id, left_out);
  for (const std::string& path : left_out) {
    shim::Log(shim::Level::kWarning,
              "workspace: " + path + " is neither a file, a directory nor a link, and is left out");
  }
  if (written) {
    return {};
  }
  const std::string kept = directory + ".kept";
  if (::rename((directory + "/workspace").c_str(), kept.c_str()) != 0) {
    return std::unexpected(SysError("rename", kept));
  }
  return std::unexpected(Failure("workspace: " + written.error().message +
                                 ": nothing was written back, the sandbox's copy is in " + kept));
}

Words RunnersWords(const SandboxOptions& options, const std::string& bundle, const std::string& id) {
  if (!options.learn.empty()) {
    return {"learn", "--bundle", bundle, "-o", options.learn, id};
  }
  return {"run", "--bundle", bundle, id};
}

}  // namespace

Result<int> RunSandbox(const Globals& globals, const SandboxOptions& options) {
  const Ids ids = TRY(ChooseIds(options.user));
  if (!options.print_bundle.empty()) {
    return PrintBundle(options, ids);
  }
  const std::string id = options.name.empty() ? TRY(NewId()) : options.name;
  const std::string directory = TRY(MemoryDirectory()) + "/" + id;
  const std::string mark = TRY(NewId());
  const std::string draft = TRY(MemoryDirectory()) + "/.draft-" + mark;
  const bool copied = !options.workspace.empty() && options.workspace_mode == WorkspaceMode::kCopy;
  // Before anything is there that would have to be removed, whatever becomes of this process.
  const Watcher watcher =
      TRY(Watcher::Start(globals, id, directory, draft, mark, copied ? options.workspace : std::string{}));
  TRY(MakeDirectory(directory, draft, mark, id));
  std::optional<WorkspaceCopy> workspace;
  const auto run = [&]() -> Result<int> {
    BundlePlace place{.path = directory, .printed = false, .terminal = false, .workspace = {}};
    if (copied) {
      place.workspace = directory + "/workspace";
      workspace = TRY_IN("--workspace", WorkspaceCopy::Make(options.workspace, place.workspace, ids));
    }
    place.terminal = !options.no_terminal && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    TRY(WriteBundle(options, ids, place));
    const Fd signals = TRY(AllSignals());
    const pid_t self = ::getpid();
    Child runner = TRY(StartNucleus(globals, RunnersWords(options, directory, id), [&] {
      return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == self && watcher.Tell(::getpid());
    }));
    const Outcome outcome = TRY(Accompany(globals, options, id, signals.get(), runner));
    if (WIFSIGNALED(outcome.wait_status)) {
      TRY(RunQuietly(globals, {"delete", "--force", id}));
    }
    if (workspace) {
      TRY(Return(*workspace, id, directory));
    }
    if (outcome.timed_out) {
      shim::Log(shim::Level::kError, "sandbox: ended by --timeout");
      return kTimedOut;
    }
    return WIFSIGNALED(outcome.wait_status) ? kSignalBase + WTERMSIG(outcome.wait_status)
                                            : WEXITSTATUS(outcome.wait_status);
  };
  const Result<int> status = run();
  // Under the name that is this one's whatever is left of it.
  Result<> removed = ::rename(directory.c_str(), draft.c_str()) == 0 ? RemoveTree(draft)
                                                                     : std::unexpected(SysError("rename", directory));
  if (!removed && status) {
    return std::unexpected(removed.error());
  }
  return status;
}

}  // namespace nucleus::front
