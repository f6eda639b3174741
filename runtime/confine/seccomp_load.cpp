// Source: seccomp(2), seccomp_unotify(2).

#include "runtime/confine/seccomp_load.h"

#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>

#include "runtime/sys/syscalls.h"

#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif

namespace nucleus::confine {
namespace {

// The listener's number, or -1 and the errno.
struct Loaded {
  int listener = -1;
  int error = 0;
};

Loaded Load(const SeccompProgram& program, unsigned more_flags) {
  const sock_fprog bpf{.len = static_cast<unsigned short>(program.filter.size()),
                       .filter = const_cast<sock_filter*>(program.filter.data())};
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags | more_flags, &bpf);
  return result < 0 ? Loaded{.listener = -1, .error = errno} : Loaded{.listener = static_cast<int>(result), .error = 0};
}

// What the process and its helper tell each other through shared memory: between loading the filter and the agent
// having the listener the process must not make any syscall.
struct Handover {
  std::atomic<int> listener{-1};    // process → helper: the descriptor; kGaveUp: there is none
  std::atomic<int> outcome{kOpen};  // helper → process: 0, or the errno of handing it over
  static constexpr int kOpen = -1;
  static constexpr int kGaveUp = -2;
};
static_assert(std::atomic<int>::is_always_lock_free);

class SharedHandover {
 public:
  SharedHandover()
      : memory_(::mmap(nullptr, sizeof(Handover), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (valid()) {
      new (memory_) Handover;
    }
  }
  // Not unmapped: execve does that, and the filter might hold munmap back.
  [[nodiscard]] bool valid() const {
    return memory_ != MAP_FAILED;
  }
  Handover* operator->() const {
    return static_cast<Handover*>(memory_);
  }

 private:
  void* memory_;
};

// The helper shares the descriptor table (the listener appears in it) and is not under the filter.
[[noreturn]] void RunHelper(const SharedHandover& shared, int socket, const std::string& state) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 20000};
  int listener = shared->listener.load();
  while (listener == Handover::kOpen) {
    ::nanosleep(&kPause, nullptr);
    listener = shared->listener.load();
  }
  int outcome = 0;
  if (listener >= 0) {
    if (const Result<> sent = sys::SendFd(socket, listener, state, "seccomp agent"); !sent) {
      outcome = sent.error().code != 0 ? sent.error().code : EIO;
    }
    // The end of the message, for an agent that reads up to it before it answers anything: execve may be held back.
    ::shutdown(socket, SHUT_WR);
    // The agent holds it now. Nobody does if it could not be handed over: then what the filter holds back ends with
    // ENOSYS.
    ::close(listener);
  }
  shared->outcome.store(outcome);
  ::_exit(0);
}

Result<> LoadWithListener(const SeccompProgram& program, int socket, const std::string& state) {
  if (socket < 0) {
    return std::unexpected(Failure("seccomp: no agent to hand the listener to", EINVAL));
  }
  const SharedHandover shared;
  if (!shared.valid()) {
    return std::unexpected(SysError("mmap", "seccomp handover"));
  }
  const pid_t helper = TRY(sys::Clone3({.flags = CLONE_FILES}));
  if (helper == 0) {
    RunHelper(shared, socket, state);
  }
  const Loaded loaded = Load(program, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  shared->listener.store(loaded.error != 0 ? Handover::kGaveUp : loaded.listener);
  // No syscall here: it might wait for an agent that does not have the listener yet.
  while (shared->outcome.load() == Handover::kOpen) {
  }
  while (::waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (loaded.error != 0) {
    return std::unexpected(SysError("seccomp", "load the filter", loaded.error));
  }
  if (const int outcome = shared->outcome.load(); outcome != 0) {
    return std::unexpected(SysError("seccomp", "hand the listener to the agent", outcome));
  }
  return {};
}

}  // namespace

Result<> LoadFilter(const SeccompProgram& program, int listener_socket, const std::string& listener_state) {
  if (program.listener) {
    return LoadWithListener(program, listener_socket, listener_state);
  }
  if (const Loaded loaded = Load(program, 0); loaded.error != 0) {
    return std::unexpected(SysError("seccomp", "load the filter", loaded.error));
  }
  return {};
}

}  // namespace nucleus::confine
