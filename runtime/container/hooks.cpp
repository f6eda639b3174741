// Source: config.md "POSIX-platform Hooks".

#include "runtime/container/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>

#include "base/fd.h"
#include "runtime/container/process.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

// Of each output stream, for the error text.
constexpr std::size_t kMaxOutput = 2048;

std::int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

// The state on stdin: a file that ends, so that neither a hook that never reads nor one that reads late matters.
Result<Fd> StateInput(const std::string& state) {
  Fd input{::memfd_create("state", MFD_CLOEXEC)};
  if (!input) {
    return std::unexpected(SysError("memfd_create", "state"));
  }
  TRY(WriteAll(input.get(), state, "state"));
  if (::lseek(input.get(), 0, SEEK_SET) != 0) {
    return std::unexpected(SysError("seek", "state"));
  }
  return input;
}

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  return Pipe{.read = Fd{ends[0]}, .write = Fd{ends[1]}};
}

// Never returns. `errors` is closed by a successful execve; else it gets the errno.
[[noreturn]] void ExecuteHook(const oci::Hook& hook, int input, int output, int error_output, int errors) {
  ::setpgid(0, 0);
  ResetSignals();
  int failure = 0;
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(error_output, 2) < 0 || ::fcntl(1, F_SETFL, 0) != 0 ||
      ::fcntl(2, F_SETFL, 0) != 0 || !sys::CloseOnExecFrom(3)) {
    failure = errno;
  } else {
    const std::vector<std::string> path_alone = {hook.path};
    const std::vector<char*> argv = sys::Pointers(hook.args.empty() ? path_alone : hook.args);
    const std::vector<char*> envp = sys::Pointers(hook.env);
    ::execve(hook.path.c_str(), argv.data(), envp.data());
    failure = errno;
  }
  (void)!::write(errors, &failure, sizeof failure);
  ::_exit(1);
}

// Takes what is there; false at the end of the stream.
bool Drain(int fd, std::string& text) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0) {
      return errno == EAGAIN || errno == EINTR;
    }
    if (count == 0) {
      return false;
    }
    // Read on past the bound: a hook that says much must not block.
    text.append(buffer.data(),
                std::min(static_cast<std::size_t>(count), kMaxOutput - std::min(kMaxOutput, text.size())));
  }
}

class RunningHook {
 public:
  static Result<RunningHook> Start(const oci::Hook& hook, const std::string& state) {
    RunningHook running;
    const Fd input = TRY(StateInput(state));
    Pipe output = TRY(MakePipe());
    Pipe error_output = TRY(MakePipe());
    Pipe errors = TRY(MakePipe());
    running.pid_ = TRY(sys::Clone3({.pidfd = &running.pidfd_}));
    if (running.pid_ == 0) {
      ExecuteHook(hook, input.get(), output.write.get(), error_output.write.get(), errors.write.get());
    }
    running.output_ = std::move(output.read);
    running.error_output_ = std::move(error_output.read);
    running.errors_ = std::move(errors.read);
    return running;
  }

  // Until the hook itself has ended; what it left running with its streams open is not waited for.
  Result<> Wait(std::optional<int> timeout_s) {
    const std::int64_t end = timeout_s ? NowMs() + std::int64_t{*timeout_s} * 1000 : 0;
    for (;;) {
      int wait_ms = -1;
      if (timeout_s) {
        wait_ms = static_cast<int>(std::clamp<std::int64_t>(end - NowMs(), 0, INT32_MAX));
      }
      std::array<pollfd, 3> entries{{{.fd = pidfd_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = output_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = error_output_.get(), .events = POLLIN, .revents = 0}}};
      const int ready = ::poll(entries.data(), entries.size(), wait_ms);
      if (ready < 0 && errno != EINTR) {
        return std::unexpected(SysError("poll", "hook"));
      }
      if (output_ && !Drain(output_.get(), out_)) {
        output_.Reset();
      }
      if (error_output_ && !Drain(error_output_.get(), err_)) {
        error_output_.Reset();
      }
      if (entries[0].revents != 0) {
        return Outcome();
      }
      if (ready == 0 && timeout_s && NowMs() >= end) {
        ::kill(-pid_, SIGKILL);
        ::kill(pid_, SIGKILL);
        (void)Reap();
        return std::unexpected(Failure("killed after its timeout of " + std::to_string(*timeout_s) + " s", ETIMEDOUT));
      }
    }
  }

 private:
  int Reap() const {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  Result<> Outcome() {
    const int status = Reap();
    int failure = 0;
    if (::read(errors_.get(), &failure, sizeof failure) == sizeof failure) {
      return std::unexpected(Failure(ErrnoText(failure), failure));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
      return {};
    }
    std::string text = WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status))
                                           : "exit status " + std::to_string(WEXITSTATUS(status));
    text += ", stdout: " + OneLine(out_) + ", stderr: " + OneLine(err_);
    return std::unexpected(Failure(std::move(text)));
  }

  static std::string OneLine(std::string text) {
    while (!text.empty() && text.back() == '\n') {
      text.pop_back();
    }
    for (char& c : text) {
      if (static_cast<unsigned char>(c) < 0x20) {
        c = ' ';
      }
    }
    return text;
  }

  pid_t pid_ = -1;
  Fd pidfd_;
  Fd output_;
  Fd error_output_;
  Fd errors_;
  std::string out_;
  std::string err_;
};

Result<> RunHook(std::string_view kind, std::size_t index, const oci::Hook& hook, const std::string& state) {
  const std::string where = "error running " + std::string{kind} + " hook #" + std::to_string(index) + ": " + hook.path;
  RunningHook running = TRY_IN(where, RunningHook::Start(hook, state));
  TRY_IN(where, running.Wait(hook.timeout));
  return {};
}

}  // namespace

Result<> RunHooks(std::string_view kind, const std::vector<oci::Hook>& hooks, const std::string& state) {
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    TRY(RunHook(kind, i, hooks[i], state));
  }
  return {};
}

std::vector<Error> RunHooksToTheEnd(std::string_view kind, const std::vector<oci::Hook>& hooks,
                                    const std::string& state) {
  std::vector<Error> failures;
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    if (Result<> ran = RunHook(kind, i, hooks[i], state); !ran) {
      failures.push_back(std::move(ran).error());
    }
  }
  return failures;
}

}  // namespace nucleus::container
