#include "runtime/evidence/event_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <csignal>
#include <ctime>

#include "base/sha256.h"
#include "runtime/container/bundle.h"
#include "runtime/container/container.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::evidence {
namespace {

constexpr int kReaderWaitMs = 1000;  // for a pipe's or socket's reader, for each event
constexpr int kLockWaitMs = 5000;    // for the others that write to a file

std::int64_t Milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return (std::int64_t{now.tv_sec} * 1000) + (now.tv_nsec / 1'000'000);
}

// flock(2) has no time-out of its own.
class Lock {
 public:
  static Result<Lock> Take(int fd, const std::string& name) {
    const std::int64_t end = Milliseconds() + kLockWaitMs;
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if ((errno != EWOULDBLOCK && errno != EINTR) || Milliseconds() > end) {
        return std::unexpected(SysError("lock", name));
      }
      constexpr int kPauseMs = 2;
      ::poll(nullptr, 0, kPauseMs);
    }
    return Lock{fd};
  }
  Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  Lock& operator=(Lock&&) = delete;
  ~Lock() {
    if (fd_ >= 0) {
      ::flock(fd_, LOCK_UN);
    }
  }

 private:
  explicit Lock(int fd) : fd_(fd) {
  }
  int fd_;
};

// A reader that has gone is an error of write(2), not the end of this process.
class NoPipeSignal {
 public:
  NoPipeSignal() : before_(::signal(SIGPIPE, SIG_IGN)) {
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;
  ~NoPipeSignal() {
    ::signal(SIGPIPE, before_);
  }

 private:
  void (*before_)(int);
};

Result<Fd> OpenFile(const std::string& path) {
  Fd file{::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600)};
  if (!file) {
    return std::unexpected(SysError("open", path));
  }
  const struct stat status = TRY(sys::Fstat(file.get(), path));
  if (!S_ISREG(status.st_mode)) {
    return std::unexpected(Failure(path + ": must be a regular file (a pipe is given as fd:N)", EINVAL));
  }
  if (status.st_nlink != 1) {
    return std::unexpected(Failure(path + ": must have one name only", EMLINK));
  }
  if ((status.st_uid != 0 && status.st_uid != ::geteuid()) || (status.st_mode & 0022) != 0) {
    return std::unexpected(
        Failure(path + ": must belong to the caller or root, and others must not write to it", EPERM));
  }
  return file;
}

Result<int> ParseDescriptor(std::string_view text, int preserved_fds) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 3) {
    return std::unexpected(Failure("fd:" + std::string{text} + ": must be a number from 3 on", EINVAL));
  }
  if (number < 3 + preserved_fds) {
    return std::unexpected(Failure("fd:" + std::string{text} + ": goes to the container", EINVAL));
  }
  return number;
}

}  // namespace

Result<EventLog> EventLog::Open(const std::string& target, const std::string& root, int preserved_fds) {
  constexpr std::string_view kPrefix = "fd:";
  if (!target.starts_with(kPrefix)) {
    return EventLog{Sink::kFile, TRY_IN("--events", OpenFile(target)), target, root};
  }
  const int number =
      TRY_IN("--events", ParseDescriptor(std::string_view{target}.substr(kPrefix.size()), preserved_fds));
  const int flags = ::fcntl(number, F_GETFL);
  if (flags < 0) {
    return std::unexpected(SysError("--events", target));
  }
  if ((flags & O_ACCMODE) == O_RDONLY) {
    return std::unexpected(Failure("--events " + target + ": is open for reading alone", EBADF));
  }
  const struct stat status = TRY_IN("--events", sys::Fstat(number, target));
  // Opened anew: the flags of the caller's own description are not ours to change. Hooks must not inherit it.
  const std::string path = "/proc/self/fd/" + std::to_string(number);
  constexpr int kAlways = O_NONBLOCK | O_NOCTTY;
  if (S_ISREG(status.st_mode)) {
    Fd file = TRY_IN("--events " + target, sys::Open(path, O_RDWR | O_APPEND | kAlways));
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    return EventLog{Sink::kFile, std::move(file), target, root};
  }
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    Fd pipe = TRY_IN("--events " + target, sys::Open(path, O_WRONLY | kAlways));
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    return EventLog{Sink::kPipe, std::move(pipe), target, root};
  }
  if (S_ISSOCK(status.st_mode)) {
    Fd socket = TRY_IN("--events", sys::Duplicate(number));
    ::fcntl(number, F_SETFD, FD_CLOEXEC);
    return EventLog{Sink::kSocket, std::move(socket), target, root};
  }
  return std::unexpected(Failure("--events " + target + ": is no file, pipe, socket or terminal", EINVAL));
}

std::string EventLog::Inherit(int number, int& fd) const {
  if (sink_ != Sink::kFile) {
    fd = fd_.get();
    return "fd:" + std::to_string(number);
  }
  if (name_.starts_with('/')) {
    return name_;
  }
  std::array<char, PATH_MAX> directory{};
  return ::getcwd(directory.data(), directory.size()) == nullptr ? "" : std::string{directory.data()} + "/" + name_;
}

void EventLog::Hold(const std::string& id) {
  if (held_ && held_id_ == id) {
    return;
  }
  if (held_id_ != id) {
    memory_ = {};
  }
  held_id_ = id;
  held_.Reset();
  if (!container::ValidateId(id)) {
    return;
  }
  // A file's chain is in the file itself: this one is made once an event is lost.
  const int create = sink_ == Sink::kFile ? 0 : O_CREAT;
  const std::string path = root_ + "/" + id + "/" + kChainFile;
  held_ = Fd{::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | create, 0600)};
}

Result<EventLog::Kept> EventLog::ReadKept() {
  if (!held_) {
    return memory_;
  }
  // SEQUENCE DIGEST LOST OPEN, as WriteKept writes it.
  std::string text(256, '\0');
  const ssize_t size = ::pread(held_.get(), text.data(), text.size(), 0);
  if (size < 0) {
    return std::unexpected(SysError("read", kChainFile));
  }
  text.resize(static_cast<std::size_t>(size));
  Kept kept;
  if (text.empty()) {
    return memory_;
  }
  const char* end = text.data() + text.size();
  auto number = std::from_chars(text.data(), end, kept.link.sequence);
  const std::size_t at = static_cast<std::size_t>(number.ptr - text.data()) + 1;
  if (number.ec != std::errc{} || text.size() < at + kSha256HexDigits + 4) {
    return std::unexpected(SysError("read", kChainFile, EINVAL));
  }
  kept.link.previous = text.substr(at, kSha256HexDigits);
  number = std::from_chars(text.data() + at + kSha256HexDigits + 1, end, kept.lost);
  kept.open_line = number.ec == std::errc{} && end - number.ptr > 1 && number.ptr[1] == '1';
  if (number.ec != std::errc{} || !IsSha256Hex(kept.link.previous)) {
    return std::unexpected(SysError("read", kChainFile, EINVAL));
  }
  return kept;
}

Result<> EventLog::WriteKept(const Kept& kept) {
  memory_ = kept;
  if (!held_ && sink_ == Sink::kFile && kept.lost != 0 && container::ValidateId(held_id_)) {
    held_ = Fd{
        ::open((root_ + "/" + held_id_ + "/" + kChainFile).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_CREAT, 0600)};
  }
  if (!held_) {
    return {};
  }
  std::string text = std::to_string(kept.link.sequence) + " " + kept.link.previous + " " + std::to_string(kept.lost) +
                     (kept.open_line ? " 1\n" : " 0\n");
  if (::pwrite(held_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::ftruncate(held_.get(), static_cast<off_t>(text.size())) != 0) {
    return std::unexpected(SysError("write", kChainFile));
  }
  return {};
}

Result<> EventLog::Append(const Event& event) {
  Hold(event.id);
  const NoPipeSignal ignored;
  std::optional<Lock> lock;
  if (held_) {
    lock.emplace(TRY(Lock::Take(held_.get(), kChainFile)));
  }
  Kept kept = TRY(ReadKept());
  return sink_ == Sink::kFile ? AppendToFile(event, kept) : AppendToStream(event, kept);
}

Result<> EventLog::AppendToFile(const Event& event, Kept& kept) {
  const auto append = [&]() -> Result<> {
    const Lock lock = TRY(Lock::Take(fd_.get(), name_));
    const struct stat status = TRY(sys::Fstat(fd_.get(), name_));
    constexpr off_t kTail = off_t{4} * kMaxLine;
    off_t start = std::max(status.st_size - kTail, off_t{0});
    std::string tail(static_cast<std::size_t>(status.st_size - start), '\0');
    if (::pread(fd_.get(), tail.data(), tail.size(), start) != static_cast<ssize_t>(tail.size())) {
      return std::unexpected(SysError("read", name_, errno != 0 ? errno : EIO));
    }
    // A part of a line at the beginning is left out.
    const std::size_t first = start == 0 ? 0 : std::min(tail.find('\n'), tail.size() - 1) + 1;
    const Link link = TRY_IN(name_, FindLink(std::string_view{tail}.substr(first), start == 0));
    const std::string line =
        (link.open_line ? "\n" : "") + FormatLine(ChainKind::kFile, link, kept.lost, container::Now(), event);
    FAULT_POINT("events.write");
    const ssize_t written = ::write(fd_.get(), line.data(), line.size());
    if (written != static_cast<ssize_t>(line.size())) {
      const Error error = SysError("write", name_, written < 0 ? errno : ENOSPC);
      (void)!::ftruncate(fd_.get(), status.st_size);
      return std::unexpected(error);
    }
    // Before the command goes on: what a crash of the host leaves is what was said to be done.
    return ::fdatasync(fd_.get()) == 0 ? Result<>{} : std::unexpected(SysError("sync", name_));
  };
  const Result<> done = append();
  if (done && kept.lost == 0) {
    return {};
  }
  kept.lost = done ? 0 : kept.lost + 1;
  (void)WriteKept(kept);
  return done ? done : std::unexpected(Context("--events", done.error()));
}

// How much of it the reader took, in a bounded time.
std::size_t EventLog::Offer(std::string_view bytes) const {
  const std::int64_t end = Milliseconds() + kReaderWaitMs;
  std::size_t taken = 0;
  for (;;) {
    const char* from = bytes.data() + taken;
    const std::size_t size = bytes.size() - taken;
    const ssize_t written = sink_ == Sink::kSocket ? ::send(fd_.get(), from, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                                   : ::write(fd_.get(), from, size);
    if (written > 0) {
      taken += static_cast<std::size_t>(written);
    } else if (written < 0 && errno != EAGAIN && errno != EINTR) {
      return taken;
    }
    const std::int64_t left = end - Milliseconds();
    if (taken == bytes.size() || left <= 0) {
      return taken;
    }
    pollfd entry{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    (void)::poll(&entry, 1, static_cast<int>(left));
  }
}

Result<> EventLog::AppendToStream(const Event& event, Kept& kept) {
  Link link = kept.link;
  link.sequence += kept.lost;
  const std::string line = FormatLine(ChainKind::kContainer, link, kept.lost, container::Now(), event);
  const std::string bytes = (kept.open_line ? "\n" : "") + line;
  std::size_t taken = 0;
  {
    // Longer than PIPE_BUF, and another container's line could come in between; socket descriptions may be shared.
    const Result<Lock> lock = sink_ == Sink::kPipe ? Lock::Take(fd_.get(), name_) : std::unexpected(Error{});
    taken = lock || sink_ != Sink::kPipe ? Offer(bytes) : 0;
  }
  if (taken == bytes.size()) {
    kept = {.link = {.sequence = link.sequence + 1,
                     .previous = Sha256Hex(std::string_view{line}.substr(0, line.size() - 1))}};
  } else {
    ++kept.lost;
    kept.open_line = taken > 0 && (taken > 1 || !kept.open_line);
  }
  return WriteKept(kept);
}

}  // namespace nucleus::evidence
