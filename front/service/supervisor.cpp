#include "front/service/supervisor.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"
#include "shim/cli/log.h"

namespace nucleus::front {
namespace {

constexpr int kTimedOut = 124;  // as timeout(1) has it
constexpr int kSignalBase = 128;
constexpr int kGraceMs = 5000;       // after --timeout's signal, and after SIGKILL
constexpr int kLookMs = 5;           // whether it runs
constexpr int kFlushMs = 500;        // a line that does not end
constexpr int kSteadyMs = 10000;     // who has run so long is not failing at its start
constexpr int kFirstDelayMs = 1000;  // before a restart
constexpr int kLastDelayMs = 60000;
constexpr std::size_t kMaxInput = std::size_t{64} << 10;
// What a client that is attached has not read: more, and it is let go, for nobody waits for it.
constexpr std::size_t kMaxPending = std::size_t{4} << 20;
constexpr std::size_t kMaxClients = 64;
constexpr std::size_t kMaxRunnersLog = std::size_t{1} << 20;

std::optional<int> Number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional<int>{value} : std::nullopt;
}

Result<> MakePipe(Fd& read, Fd& write) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  read = Fd{ends[0]};
  write = Fd{ends[1]};
  return {};
}

Result<> NonBlocking(int fd) {
  return ::fcntl(fd, F_SETFL, O_NONBLOCK) == 0 ? Result<>{} : std::unexpected(SysError("fcntl", ""));
}

}  // namespace

Result<Fd> SupervisorSignals() {
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

Supervisor::Supervisor(const Globals& globals, const ServiceSpec& spec, const ServiceHooks& hooks,
                       const std::function<bool()>& started)
    : globals_(globals), spec_(spec), hooks_(hooks), started_(started) {
}

Result<int> Supervisor::Run() {
  if (const Result<> prepared = Prepare(); !prepared) {
    if (record_) {
      (void)record_->Remove();
    }
    return std::unexpected(prepared.error());
  }
  Result<int> status = Supervise();
  if (!status && record_ && !told_started_) {
    (void)record_->Remove();
  }
  return status;
}

Result<> Supervisor::Prepare() {
  ::signal(SIGPIPE, SIG_IGN);
  // What the workload leaves behind where it has no pid namespace of its own is the runner's to reap, not this one's.
  status_.id = spec_.id;
  status_.supervisor = ::getpid();
  status_.supervisor_start = TRY(sys::ReadProcessStat(::getpid())).start_time;
  status_.terminal = spec_.terminal;
  status_.keeps_input = spec_.keep_input || spec_.terminal;
  status_.labels = spec_.labels;
  record_ = TRY(ServiceRecord::Make(globals_, status_));
  log_ = TRY(LogWriter::Open(record_->directory(), spec_.log));
  listener_ = TRY(ListenControl(record_->directory()));
  notifier_ = Notifier::Take();
  health_ = std::make_unique<HealthMonitor>(globals_, spec_.id, spec_.health, record_->path() + "/health.pid");
  if (spec_.health.command.empty()) {
    TRY(notifier_.Listen(record_->path()));
  }
  signals_ = TRY(SupervisorSignals());
  return {};
}

Result<int> Supervisor::Supervise() {
  Result<> good = hooks_.prepare ? hooks_.prepare() : Result<>{};
  if (good) {
    good = StartRunner();
  }
  while (good && !over_) {
    enum { kSignals, kListener, kRunner, kOut, kErr, kInput, kNotify, kCount };
    std::vector<pollfd> entries(kCount);
    const auto watch = [&entries](int which, int fd, short events) {
      entries[static_cast<std::size_t>(which)] = {.fd = fd, .events = events, .revents = 0};
    };
    watch(kSignals, signals_.get(), POLLIN);
    watch(kListener, clients_.size() < kMaxClients ? listener_.get() : -1, POLLIN);
    watch(kRunner, runner_.pidfd.get(), POLLIN);
    watch(kOut, out_.get(), POLLIN);
    watch(kErr, err_.get(), POLLIN);
    const int input = spec_.terminal ? out_.get() : input_.get();
    watch(kInput, input_bytes_.empty() ? -1 : input, POLLOUT);
    watch(kNotify, notifier_.fd(), POLLIN);
    const std::size_t first_client = entries.size();
    const std::size_t clients = clients_.size();
    for (const auto& client : clients_) {
      // No more input is taken than the workload takes.
      const bool reads = input_bytes_.size() < kMaxInput;
      entries.push_back({.fd = client->socket.get(),
                         .events = static_cast<short>((reads ? POLLIN : 0) | (client->packets.empty() ? 0 : POLLOUT)),
                         .revents = 0});
    }
    health_->AddTo(entries);
    if (::poll(entries.data(), entries.size(), PollTimeout()) < 0 && errno != EINTR) {
      good = std::unexpected(SysError("poll", ""));
      break;
    }
    if (entries[kSignals].revents != 0) {
      HandleSignals();
    }
    if (entries[kOut].revents != 0) {
      ReadStream(out_, Stream::kOut);
    }
    if (entries[kErr].revents != 0) {
      ReadStream(err_, Stream::kErr);
    }
    if (entries[kInput].revents != 0) {
      WriteInput();
    }
    if (entries[kNotify].revents != 0) {
      if (const Result<> passed = notifier_.PassOn(); !passed) {
        Warn(passed.error().message);
      }
    }
    for (std::size_t i = 0; i < clients; ++i) {
      const short events = entries[first_client + i].revents;
      if ((events & POLLOUT) != 0) {
        Push(*clients_[i]);
      }
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        Serve(*clients_[i]);
      }
    }
    if (entries[kListener].revents != 0) {
      Accept();
    }
    std::erase_if(clients_, [](const auto& client) { return client->gone; });
    HandleHealth();
    if (entries[kRunner].revents != 0) {
      const Result<int> wait_status = WaitFor(runner_);
      good = wait_status ? RunnerEnded(*wait_status) : std::unexpected(wait_status.error());
    } else if (good) {
      good = LookWhetherItRuns();
    }
    const std::int64_t now = MonotonicMs();
    if (force_ms_ != 0 && now >= force_ms_) {
      Escalate();
    }
    if (timeout_ms_ != 0 && now >= timeout_ms_) {
      timeout_ms_ = 0;
      timed_out_ = true;
      BeginStop(kGraceMs);
    }
    if (flush_ms_ != 0 && now >= flush_ms_) {
      FlushLines();
    }
    if (good && restart_ms_ != 0 && now >= restart_ms_) {
      restart_ms_ = 0;
      ++status_.restarts;
      good = StartRunner();
    }
  }
  health_->End();
  if (!good) {
    if (runner_.pidfd) {
      (void)sys::PidfdSendSignal(runner_.pidfd.get(), SIGKILL);
      (void)WaitFor(runner_);
      (void)RunQuietly(globals_, {"delete", "--force", spec_.id});
    }
    status_.error = good.error().message;
    status_.exit_status = 1;
  }
  Finish();
  if (!good && !told_started_) {
    return std::unexpected(good.error());
  }
  return status_.exit_status;
}

int Supervisor::PollTimeout() const {
  std::int64_t next = 0;
  for (const std::int64_t when : {look_ms_, timeout_ms_, force_ms_, restart_ms_, flush_ms_, health_->deadline_ms()}) {
    if (when != 0 && (next == 0 || when < next)) {
      next = when;
    }
  }
  constexpr std::int64_t kMost = 3600000;
  return next == 0 ? -1 : static_cast<int>(std::clamp<std::int64_t>(next - MonotonicMs(), 0, kMost));
}

// ---- the runner and its streams

Result<> Supervisor::MakeStreams(std::vector<Fd>& theirs) {
  theirs.resize(3);
  if (spec_.terminal) {
    out_ = Fd{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    if (!out_ || ::grantpt(out_.get()) != 0 || ::unlockpt(out_.get()) != 0) {
      return std::unexpected(SysError("open", "/dev/ptmx"));
    }
    // The slave by its master: no name of a devpts is looked up.
    theirs[0] = Fd{::ioctl(out_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)};
    if (!theirs[0]) {
      return std::unexpected(SysError("open", "terminal"));
    }
    const winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(out_.get(), TIOCSWINSZ, &size);
    return NonBlocking(out_.get());
  }
  TRY(MakePipe(out_, theirs[1]));
  TRY(MakePipe(err_, theirs[2]));
  TRY(NonBlocking(out_.get()));
  TRY(NonBlocking(err_.get()));
  input_ends_ = false;
  input_bytes_.clear();
  if (spec_.keep_input) {
    TRY(MakePipe(theirs[0], input_));
    return NonBlocking(input_.get());
  }
  theirs[0] = TRY(sys::Open("/dev/null", O_RDONLY));
  return {};
}

Result<> Supervisor::StartRunner() {
  std::vector<Fd> theirs;
  TRY(MakeStreams(theirs));
  Globals globals = globals_;
  // What nucleus itself has to say, apart from what the workload writes to the same stream.
  runners_log_ = globals_.log;
  if (runners_log_.empty()) {
    runners_log_ = record_->path() + "/nucleus.log";
    ::unlink(runners_log_.c_str());
    globals.words.insert(globals.words.end(), {"--log", runners_log_});
  }
  struct stat status{};
  runners_log_size_ = ::stat(runners_log_.c_str(), &status) == 0 ? status.st_size : 0;
  const pid_t self = ::getpid();
  runner_ = TRY(StartNucleus(globals, spec_.runner, [&] {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != self || (hooks_.before && !hooks_.before())) {
      return false;
    }
    if (!notifier_.proxy().empty() && ::setenv("NOTIFY_SOCKET", notifier_.proxy().c_str(), 1) != 0) {
      return false;
    }
    if (spec_.terminal) {
      return ::setsid() >= 0 && ::ioctl(theirs[0].get(), TIOCSCTTY, 0) == 0 && ::dup2(theirs[0].get(), 0) == 0 &&
             ::dup2(0, 1) == 1 && ::dup2(0, 2) == 2;
    }
    return ::dup2(theirs[0].get(), 0) == 0 && ::dup2(theirs[1].get(), 1) == 1 && ::dup2(theirs[2].get(), 2) == 2;
  }));
  status_.phase = Phase::kStarting;
  status_.started = TimeNow();
  status_.ended.clear();
  started_ms_ = MonotonicMs();
  look_ms_ = started_ms_ + kLookMs;
  if (spec_.timeout_ms > 0 && timeout_ms_ == 0) {
    timeout_ms_ = started_ms_ + spec_.timeout_ms;
  }
  last_error_.clear();
  SaveStatus();
  return {};
}

Result<> Supervisor::LookWhetherItRuns() {
  if (look_ms_ == 0 || MonotonicMs() < look_ms_) {
    return {};
  }
  if (!WorkloadRuns(globals_, spec_.id)) {
    look_ms_ = MonotonicMs() + kLookMs;
    return {};
  }
  look_ms_ = 0;
  if (status_.phase == Phase::kStarting) {
    status_.phase = Phase::kRunning;
  }
  health_->Begin();
  status_.health = health_->tracker().health();
  SaveStatus();
  if (!told_started_) {
    told_started_ = true;
    if (started_ && !started_()) {
      BeginStop(-1);
    }
  }
  return {};
}

std::string Supervisor::WhyNotStarted() const {
  const std::string text = ReadFile(runners_log_, kMaxRunnersLog).value_or("");
  const std::string said =
      text.substr(std::min(text.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, runners_log_size_))));
  if (said.find("level=error") == std::string::npos && said.find("\"level\":\"error\"") == std::string::npos) {
    return {};
  }
  constexpr std::string_view kPrefix = "nucleus: ";
  return last_error_.starts_with(kPrefix) ? last_error_.substr(kPrefix.size()) : "it could not be started";
}

Result<> Supervisor::RunnerEnded(int wait_status) {
  look_ms_ = 0;
  force_ms_ = 0;
  health_->End();
  ReadStream(out_, Stream::kOut);
  ReadStream(err_, Stream::kErr);
  FlushLines();
  out_.Reset();
  err_.Reset();
  input_.Reset();
  if (WIFSIGNALED(wait_status)) {
    TRY(RunQuietly(globals_, {"delete", "--force", spec_.id}));
  }
  status_.exit_status = WIFSIGNALED(wait_status) ? kSignalBase + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  status_.ended = TimeNow();
  if (!told_started_) {
    if (const std::string why = WhyNotStarted(); !why.empty()) {
      return std::unexpected(Failure(why));
    }
    told_started_ = true;
    if (started_ && !started_()) {
      stopping_ = true;
    }
  }
  if (!WantsRestart()) {
    over_ = true;
    return {};
  }
  if (MonotonicMs() - started_ms_ >= kSteadyMs) {
    restarts_in_a_row_ = 0;
  }
  const int delay = std::min(kLastDelayMs, kFirstDelayMs << std::min(restarts_in_a_row_, 6));
  ++restarts_in_a_row_;
  restart_ms_ = MonotonicMs() + delay;
  status_.phase = Phase::kWaiting;
  Warn("ended with status " + std::to_string(status_.exit_status) + ", starts again in " +
       std::to_string(delay / 1000) + " s");
  SaveStatus();
  return {};
}

void Supervisor::LogBytes(Stream which, std::string_view bytes) {
  LineSplitter& lines = which == Stream::kOut ? out_lines_ : err_lines_;
  lines.Feed(bytes, [&](bool whole, std::string_view line) {
    // A terminal's lines end with two characters.
    if (spec_.terminal && whole && line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (which == Stream::kErr || spec_.terminal) {
      last_error_ = line;
    }
    log_->Write(which, whole, line);
  });
  flush_ms_ = out_lines_.pending() || err_lines_.pending() ? MonotonicMs() + kFlushMs : 0;
}

void Supervisor::FlushLines() {
  flush_ms_ = 0;
  out_lines_.Flush([this](bool whole, std::string_view line) { log_->Write(Stream::kOut, whole, line); });
  err_lines_.Flush([this](bool whole, std::string_view line) { log_->Write(Stream::kErr, whole, line); });
}

void Supervisor::ReadStream(Fd& stream, Stream which) {
  std::array<char, kMaxPacket> buffer{};
  // Then the others have their turn.
  constexpr int kRounds = 16;
  for (int i = 0; stream && i < kRounds; ++i) {
    const ssize_t count = ::read(stream.get(), buffer.data(), buffer.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (count <= 0) {
      stream.Reset();
      return;
    }
    const std::string_view bytes{buffer.data(), static_cast<std::size_t>(count)};
    LogBytes(which, bytes);
    TellAttached(which == Stream::kOut ? Word::kOutput : Word::kError, bytes);
    if (spec_.echo) {
      (void)WriteAll(which == Stream::kOut ? STDOUT_FILENO : STDERR_FILENO, bytes, "");
    }
  }
}

void Supervisor::WriteInput() {
  const int fd = spec_.terminal ? out_.get() : input_.get();
  const ssize_t count = fd < 0 ? -1 : ::write(fd, input_bytes_.data(), input_bytes_.size());
  if (count > 0) {
    input_bytes_.erase(0, static_cast<std::size_t>(count));
  } else if (fd < 0 || (errno != EAGAIN && errno != EINTR)) {
    input_bytes_.clear();
  }
  if (input_ends_ && input_bytes_.empty() && !spec_.terminal) {
    input_.Reset();
  }
}

// ---- its end

void Supervisor::BeginStop(int timeout_ms) {
  const std::int64_t now = MonotonicMs();
  const std::int64_t force = now + (timeout_ms < 0 ? spec_.stop_timeout_ms : timeout_ms);
  if (stopping_) {
    // Who asks again may want it sooner.
    if (steps_ == 0 && force_ms_ != 0) {
      force_ms_ = std::min(force_ms_, force);
    }
    return;
  }
  stopping_ = true;
  restart_ms_ = 0;
  if (const Result<> told = notifier_.Tell("STOPPING=1\n"); !told) {
    Warn(told.error().message);
  }
  status_.phase = Phase::kStopping;
  health_->End();
  SaveStatus();
  if (!runner_.pidfd) {
    over_ = true;  // it was waiting for a restart
    return;
  }
  force_ms_ = force;
  if (spec_.stop_signal == SIGKILL) {
    force_ms_ = now;
  } else {
    (void)sys::PidfdSendSignal(runner_.pidfd.get(), spec_.stop_signal);
  }
}

void Supervisor::Escalate() {
  force_ms_ = 0;
  if (!runner_.pidfd) {
    return;
  }
  force_ms_ = MonotonicMs() + kGraceMs;
  if (steps_ == 0) {
    (void)RunQuietly(globals_, {"kill", spec_.id, "KILL"});
  } else {
    (void)sys::PidfdSendSignal(runner_.pidfd.get(), SIGKILL);
  }
  ++steps_;
}

bool Supervisor::WantsRestart() const {
  if (stopping_ || timed_out_ || spec_.restart == Restart::kNo) {
    return false;
  }
  const bool failed = status_.exit_status != 0;
  const bool steady = MonotonicMs() - started_ms_ >= kSteadyMs;
  return (failed || spec_.restart == Restart::kAlways) &&
         (spec_.most_restarts == 0 || steady || restarts_in_a_row_ < spec_.most_restarts);
}

void Supervisor::Finish() {
  if (hooks_.finish) {
    if (const Result<> finished = hooks_.finish([this](const std::string& message) { Warn(message); }); !finished) {
      status_.error = finished.error().message;
      status_.exit_status = 1;
    }
  }
  status_.timed_out = timed_out_;
  if (timed_out_) {
    Warn("ended: its time is over");
    status_.exit_status = status_.error.empty() ? kTimedOut : 1;
  }
  if (!status_.error.empty()) {
    Warn(status_.error);
  }
  if (status_.ended.empty()) {
    status_.ended = TimeNow();
  }
  status_.phase = Phase::kEnded;
  status_.health = Health::kNone;
  ::unlinkat(record_->directory(), kControlSocket, 0);
  ::unlinkat(record_->directory(), "notify", 0);
  SaveStatus();
  TellAttached(Word::kEnd, std::to_string(status_.exit_status));
  for (const auto& client : clients_) {
    // A last, bounded wait for those that still read.
    constexpr int kLastMs = 1000;
    pollfd entry{.fd = client->socket.get(), .events = POLLOUT, .revents = 0};
    while (!client->gone && !client->packets.empty() && ::poll(&entry, 1, kLastMs) > 0) {
      Push(*client);
    }
  }
  clients_.clear();
}

// ---- clients

void Supervisor::Accept() {
  auto client = std::make_unique<Client>();
  client->socket = Fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (client->socket) {
    clients_.push_back(std::move(client));
  }
}

void Supervisor::Serve(Client& client) {
  constexpr int kRounds = 16;
  for (int i = 0; i < kRounds && !client.gone && input_bytes_.size() < kMaxInput; ++i) {
    const Result<std::optional<Packet>> packet = Receive(client.socket.get());
    if (!packet) {
      client.gone = packet.error().code != EAGAIN;
      return;
    }
    if (!*packet) {
      client.gone = true;
      return;
    }
    Obey(client, **packet);
  }
}

void Supervisor::Obey(Client& client, const Packet& packet) {
  switch (packet.word) {
    case Word::kStop:
      BeginStop(Number(packet.text).value_or(-1));
      break;
    case Word::kAttach:
      client.attached = true;
      break;
    case Word::kInput:
      if (status_.keeps_input && !input_ends_ && (spec_.terminal || input_)) {
        input_bytes_ += packet.text;
        WriteInput();
      }
      break;
    case Word::kInputEnd:
      if (!spec_.terminal) {
        input_ends_ = true;
        WriteInput();
      }
      break;
    case Word::kSize: {
      const std::size_t space = packet.text.find(' ');
      const auto rows = Number(std::string_view{packet.text}.substr(0, space));
      const auto columns =
          space == std::string::npos ? std::nullopt : Number(std::string_view{packet.text}.substr(space + 1));
      if (spec_.terminal && out_ && rows && columns) {
        const winsize size{.ws_row = static_cast<unsigned short>(*rows),
                           .ws_col = static_cast<unsigned short>(*columns),
                           .ws_xpixel = 0,
                           .ws_ypixel = 0};
        ::ioctl(out_.get(), TIOCSWINSZ, &size);
      }
      break;
    }
    case Word::kSignal:
      if (const auto signal = Number(packet.text); signal && runner_.pidfd && *signal > 0 && *signal != SIGKILL) {
        (void)sys::PidfdSendSignal(runner_.pidfd.get(), *signal);
      }
      break;
    case Word::kOutput:
    case Word::kError:
    case Word::kEnd:
      client.gone = true;  // no client says that
      break;
  }
}

void Supervisor::Offer(Client& client, std::string packet) {
  client.pending += packet.size();
  client.packets.push_back(std::move(packet));
  Push(client);
  client.gone = client.gone || client.pending > kMaxPending;
}

void Supervisor::Push(Client& client) {
  while (!client.packets.empty()) {
    const std::string& packet = client.packets.front();
    if (::send(client.socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      client.gone = client.gone || (errno != EAGAIN && errno != EINTR && errno != ENOBUFS);
      return;
    }
    client.pending -= packet.size();
    client.packets.pop_front();
  }
}

void Supervisor::TellAttached(Word word, std::string_view bytes) {
  for (const auto& client : clients_) {
    if (client->attached && !client->gone) {
      Offer(*client, FormatPacket(word, bytes));
    }
  }
}

// ---- the rest

void Supervisor::HandleSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGTERM || signal == SIGINT) {
      BeginStop(-1);
    } else if (signal != SIGCHLD && info.ssi_code != SI_KERNEL && runner_.pidfd) {
      (void)sys::PidfdSendSignal(runner_.pidfd.get(), signal);
    }
  }
}

void Supervisor::HandleHealth() {
  bool changed = false;
  if (!health_->Step(changed)) {
    return;
  }
  const HealthTracker& tracker = health_->tracker();
  status_.health = tracker.health();
  status_.failing_streak = tracker.failing_streak();
  status_.health_results.assign(tracker.results().begin(), tracker.results().end());
  SaveStatus();
  if (changed) {
    Warn("health: " + std::string{HealthName(tracker.health())});
  }
  if (tracker.health() == Health::kHealthy && !told_ready_) {
    told_ready_ = true;
    const std::string word = "READY=1\nMAINPID=" + std::to_string(::getpid()) + "\n";
    if (const Result<> told = notifier_.Tell(word); !told) {
      Warn(told.error().message);
    }
  }
}

void Supervisor::SaveStatus() {
  if (const Result<> written = record_->Write(status_); !written) {
    Warn(written.error().message);
  }
  if (status_.phase == Phase::kRunning) {
    TellState(globals_, spec_.id, status_.health);
  }
}

void Supervisor::Warn(std::string_view message) {
  log_->Write(Stream::kSupervisor, true, message);
}

// ---- service.h

Result<int> RunService(const Globals& globals, const ServiceSpec& spec, const ServiceHooks& hooks,
                       const std::function<bool()>& started) {
  return Supervisor{globals, spec, hooks, started}.Run();
}

}  // namespace nucleus::front
