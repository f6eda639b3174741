// Source: memfd_create(2), tty_ioctl(4), pid_namespaces(7).

#include "runtime/container/init.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>

#include "runtime/container/process.h"
#include "runtime/init/image.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace nucleus::container {
namespace {

constexpr const char* kName = "nucleus-init";

// ---- on the memory that is the workload's process's as well: system calls alone, and nothing of it is written to

// Returns only an errno.
int Execute(int image, int ready, const char* number) {
  if (const Result<> fault = sys::InjectedFault("init.exec"); !fault) {
    return fault.error().code;
  }
  // As descriptor 0, and with it the init has nothing of the caller's and the host's any more. (Where the caller left
  // that one closed, it may be the pipe already, close-on-exec.)
  const int moved = ::fcntl(ready, F_DUPFD_CLOEXEC, 1);
  if (moved < 0 || ::dup2(moved, 0) < 0) {
    return errno;
  }
  const auto kept = static_cast<unsigned>(image);
  if ((kept > 1 && ::close_range(1, kept - 1, 0) != 0) || ::close_range(kept + 1, ~0U, 0) != 0) {
    return errno;
  }
  const std::array<char*, 3> argv = {const_cast<char*>(kName), const_cast<char*>(number), nullptr};
  const std::array<char*, 1> envp = {nullptr};
  ::execveat(image, "", argv.data(), envp.data(), AT_EMPTY_PATH);
  return errno;
}

[[noreturn]] void StayAsInit(int image, int ready, pid_t workload) {
  std::array<char, 16> number{};
  std::to_chars(number.data(), number.data() + number.size() - 1, workload);
  const auto answer = static_cast<unsigned char>(Execute(image, ready, number.data()));
  for (const int fd : {ready, 0}) {
    if (::write(fd, &answer, 1) == 1) {
      break;
    }
  }
  // With the end of this process the other's would come before its word to `start`. No signal interrupts: all are
  // blocked.
  (void)::waitpid(workload, nullptr, 0);
  ::_exit(1);
}

// ---- in the workload's process

// Until the init serves. Whatever ends it before that ends this process as well.
Result<> AwaitInit(int ready) {
  unsigned char answer = 0;
  ssize_t size = 0;
  do {
    size = ::read(ready, &answer, 1);
  } while (size < 0 && errno == EINTR);
  if (size != 1) {
    return std::unexpected(SysError("exec", kName, size < 0 ? errno : ECHILD));
  }
  return answer == 0 ? Result<>{} : std::unexpected(SysError("exec", kName, answer));
}

Result<Fd> MakeMemory() {
  // Where vm.memfd_noexec wants it said; a kernel that does not know the word does not ask for it.
  Fd memory{::memfd_create(kName, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC)};
  if (!memory && errno == EINVAL) {
    memory = Fd{::memfd_create(kName, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  }
  // Never in the place of a stream that the caller left closed.
  if (memory && memory.get() < 3) {
    memory = Fd{::fcntl(memory.get(), F_DUPFD_CLOEXEC, 3)};
  }
  return memory ? Result<Fd>{std::move(memory)} : std::unexpected(SysError("memfd_create", kName));
}

struct Child {
  int image = -1;
  int ready = -1;   // its end of the pipe
  int theirs = -1;  // the init's
  bool terminal = false;
  const std::function<void()>* workload = nullptr;
  const std::function<void(const Error&)>* failed = nullptr;
};

// What both share, made ready; returns the init's end of the pipe.
Result<int> Prepare(Child& child) {
  FAULT_POINT("init.fork");
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", kName));
  }
  child.ready = ends[0];
  child.theirs = ends[1];
  // This session's no more: the hangup that the kernel sends for it is not heard by a process 1 that has no handler.
  if (child.terminal && ::ioctl(0, TIOCNOTTY) != 0) {
    return std::unexpected(SysError("give up", "the terminal"));
  }
  // From here on no signal is lost: what comes before the init waits for it is pending.
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  return ends[1];
}

Result<> Begin(const Child& child) {
  ::close(child.image);
  ::close(child.theirs);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::setsid() < 0) {
    return std::unexpected(SysError("setsid", ""));
  }
  if (child.terminal && ::ioctl(0, TIOCSCTTY, 0) != 0) {
    return std::unexpected(SysError("make controlling", "the terminal"));
  }
  Result<> served = AwaitInit(child.ready);
  ::close(child.ready);
  return served;
}

int RunWorkload(void* memory) {
  const Child& child = *static_cast<const Child*>(memory);
  if (const Result<> begun = Begin(child); !begun) {
    (*child.failed)(begun.error());
  } else {
    (*child.workload)();
  }
  ::_exit(1);
}

}  // namespace

Result<Init> Init::Make() {
  FAULT_POINT("init.image");
  Fd memory = TRY(MakeMemory());
  TRY(WriteAll(memory.get(), init::Image(), kName));
  // To execute, not to read: execve itself then makes a process without privilege over it one that cannot be dumped.
  if (::fchmod(memory.get(), 0111) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    return std::unexpected(SysError("seal", kName));
  }
  return Init{std::move(memory)};
}

Error Init::Fork(bool terminal, const std::function<void()>& workload,
                 const std::function<void(const Error&)>& failed) {
  Child child{.image = image_.get(), .terminal = terminal, .workload = &workload, .failed = &failed};
  const Result<int> ready = Prepare(child);
  if (!ready) {
    return ready.error();
  }
  // Not a copy: the init gives this memory up by its execve, and the copy would be most of what an init costs. The
  // stack is the workload's until it executes; untouched pages of it are none.
  constexpr std::size_t kStack = std::size_t{1} << 20;
  void* stack =
      ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) {
    return SysError("mmap", kName);
  }
  const pid_t pid = ::clone(&RunWorkload, static_cast<char*>(stack) + kStack, CLONE_VM | SIGCHLD, &child);
  if (pid < 0) {
    return SysError("clone", kName);
  }
  StayAsInit(image_.get(), *ready, pid);
}

}  // namespace nucleus::container
