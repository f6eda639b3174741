#include "runtime/container/tracing.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>
#include <cstdio>

#include "policies/mode.h"
#include "runtime/container/channel.h"
#include "runtime/container/child.h"
#include "runtime/container/query.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"
#include "runtime/trace/record.h"
#include "runtime/trace/tracer.h"

namespace nucleus::container {
namespace {

constexpr const char* kTracerEnded = "the container is traced, and its tracer has ended";
constexpr int kEndWaitMs = 5000;

Result<Fd> ListenForExecs(const StateDir& directory) {
  Fd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory.fd(), kTraceSocket);
  constexpr int kWaiting = 64;
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), kWaiting) != 0) {
    return std::unexpected(SysError("bind", directory.path() + "/" + kTraceSocket));
  }
  return socket;
}

// Neither a stream nor a terminal nor a directory of the caller's is held by a process that outlives it. A signal to
// its cgroup or session must not end it while the container goes on: it is blocked.
Result<> Detach(const trace::Tracer& tracer) {
  TRY(sys::CloseFrom(3, {tracer.file.get(), tracer.init.get(), tracer.others.get()}));
  const Fd null = TRY(sys::Open("/dev/null", O_RDWR));
  for (int fd = 0; fd <= 2; ++fd) {
    if (::dup2(null.get(), fd) < 0) {
      return std::unexpected(SysError("dup", "/dev/null"));
    }
  }
  sigset_t all;
  ::sigfillset(&all);
  if (::setsid() < 0 || ::chdir("/") != 0 || ::sigprocmask(SIG_BLOCK, &all, nullptr) != 0) {
    return std::unexpected(SysError("detach", "the tracer"));
  }
  return {};
}

[[noreturn]] void RunTracer(trace::Tracer& tracer) {
  Result<> ready = Detach(tracer);
  if (ready) {
    ready = trace::ConfineTracer(tracer.files);
  }
  if (!ready) {
    FailChild(tracer.init.get(), ready.error());
  }
  if (Send(tracer.init.get(), Tag::kReady)) {
    trace::Serve(tracer);
  }
  ::_exit(0);
}

// A trace that is whole ends with its end.
bool HasEnd(const std::string& path) {
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)};
  struct stat status{};
  std::array<char, 128> tail{};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return true;  // somebody else's by now: nothing is known of it
  }
  const off_t from = std::max<off_t>(0, status.st_size - static_cast<off_t>(tail.size()));
  const ssize_t size = ::pread(file.get(), tail.data(), tail.size(), from);
  const std::string_view text{tail.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  return text.find(trace::kEndStart) != std::string_view::npos;
}

}  // namespace

Result<std::string> TraceFileOf(const CreateOptions& options, const oci::Annotations& annotations) {
  std::string path = options.seccomp_trace;
  if (path.empty()) {
    return annotations.seccomp_trace;
  }
  if (path.front() != '/') {
    std::array<char, PATH_MAX> directory{};
    if (::getcwd(directory.data(), directory.size()) == nullptr) {
      return std::unexpected(SysError("getcwd", ""));
    }
    path.insert(0, std::string{directory.data()} + "/");
  }
  return path;
}

Result<Tracing> LaunchTracer(const StateDir& directory, const std::string& file, const std::string& id,
                             const std::string& config_digest, bool files) {
  Tracing tracing;
  tracing.tracer.file = file;
  trace::Tracer tracer;
  tracer.file = TRY(trace::OpenTraceFile(file));
  tracer.others = TRY(ListenForExecs(directory));
  tracer.header = trace::FormatHeader(id, config_digest, files);
  tracer.files = files;
  TRY(sys::SocketPair(tracing.init, tracer.init));
  tracing.tracer.pid = TRY(sys::Clone3({}));
  if (tracing.tracer.pid == 0) {
    RunTracer(tracer);
  }
  tracer.init.Reset();
  const Result<Message> answer = Receive(tracing.init.get());
  const Result<sys::ProcessStat> stat = sys::ReadProcessStat(tracing.tracer.pid);
  if (!answer || answer->tag != Tag::kReady || !stat) {
    (void)::kill(tracing.tracer.pid, SIGKILL);
    while (::waitpid(tracing.tracer.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    const std::string why = answer ? answer->text : answer.error().message;
    return std::unexpected(Failure("the tracer: " + why, answer ? answer->code : ECHILD));
  }
  tracing.tracer.start_time = stat->start_time;
  return tracing;
}

Result<> CheckTracer(int init) {
  pollfd polled{.fd = init, .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, 0) == 0 ? Result<>{} : std::unexpected(Failure(kTracerEnded, ECONNRESET));
}

Result<Fd> ConnectTracer(const StateDir& directory) {
  return TRY_IN(kTracerEnded, sys::ConnectUnix("/proc/self/fd/" + std::to_string(directory.fd()) + "/" + kTraceSocket,
                                               SOCK_SEQPACKET));
}

std::optional<oci::Degradation> LostTracer(const oci::State& state) {
  const oci::State tracer{.pid = state.tracer.pid, .start_time = state.tracer.start_time};
  // In this order: it ends right after the container's last process.
  if (state.tracer.pid <= 0 || state.phase == oci::Phase::kCreating || IsAlive(tracer) || !IsAlive(state)) {
    return std::nullopt;
  }
  return oci::Degradation{.stage = std::string{policies::Row(policies::Stage::kSeccompTrace).name},
                          .reason = "the tracer has ended: the container's system calls fail"};
}

Result<> StopTracer(const oci::State& state) {
  const oci::StateTracer& tracer = state.tracer;
  if (tracer.pid <= 0) {
    return {};
  }
  const oci::State as_process{.pid = tracer.pid, .start_time = tracer.start_time};
  if (const Result<Fd> process = OpenInit(as_process)) {
    if (!sys::PidfdWait(process->get(), kEndWaitMs).value_or(false)) {
      (void)sys::PidfdSendSignal(process->get(), SIGKILL);
      (void)sys::PidfdWait(process->get(), kEndWaitMs);
    }
  }
  // Of `run` it is a child.
  (void)::waitpid(tracer.pid, nullptr, WNOHANG);
  if (!HasEnd(tracer.file)) {
    return std::unexpected(Failure("seccomp trace " + tracer.file +
                                   ": not whole: the tracer ended before the container, whose system calls then failed "
                                   "with ENOSYS"));
  }
  return {};
}

}  // namespace nucleus::container
