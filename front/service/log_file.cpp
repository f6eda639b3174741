#include "front/service/log_file.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr const char* kLog = "log";
constexpr int kMostFiles = 1000;
constexpr mode_t kMode = 0600;

// 0 is the newest.
std::string NameOf(int number) {
  return number == 0 ? kLog : std::string{kLog} + "." + std::to_string(number);
}

timespec Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

Fd OpenLog(int directory, int number) {
  return Fd{::openat(directory, NameOf(number).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
}

// How many lines the file has.
std::int64_t CountLines(int file) {
  std::array<char, 65536> buffer{};
  std::int64_t lines = 0;
  off_t at = 0;
  for (;;) {
    const ssize_t count = ::pread(file, buffer.data(), buffer.size(), at);
    if (count <= 0) {
      return lines;
    }
    lines += std::count(buffer.begin(), buffer.begin() + count, '\n');
    at += count;
  }
}

// Reads on behind `lines` lines.
void SkipLines(int file, std::int64_t lines) {
  std::array<char, 65536> buffer{};
  off_t at = 0;
  while (lines > 0) {
    const ssize_t count = ::pread(file, buffer.data(), buffer.size(), at);
    if (count <= 0) {
      break;
    }
    ssize_t i = 0;
    for (; i < count && lines > 0; ++i) {
      lines -= buffer.at(static_cast<std::size_t>(i)) == '\n' ? 1 : 0;
    }
    at += i;
  }
  ::lseek(file, at, SEEK_SET);
}

// What took the place of one that was rotated away is the oldest.
Fd OpenOldest(int directory) {
  Fd oldest;
  constexpr int kGap = 2;
  for (int number = 0, missing = 0; number < kMostFiles && missing < kGap; ++number) {
    Fd file = OpenLog(directory, number);
    missing = file ? 0 : missing + 1;
    if (file) {
      oldest = std::move(file);
    }
  }
  return oldest;
}

bool SameFile(int one, int other) {
  struct stat a{};
  struct stat b{};
  return one >= 0 && other >= 0 && ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

}  // namespace

Result<LogWriter> LogWriter::Open(int directory, const LogLimits& limits) {
  LogWriter writer{TRY(sys::Duplicate(directory)), limits};
  TRY(writer.OpenNewest());
  return writer;
}

Result<> LogWriter::OpenNewest() {
  file_ = Fd{::openat(directory_.get(), kLog, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, kMode)};
  if (!file_) {
    return std::unexpected(SysError("open", kLog));
  }
  size_ = TRY(sys::Fstat(file_.get(), kLog)).st_size;
  return {};
}

void LogWriter::Rotate() {
  for (int number = limits_.files - 1; number > 0; --number) {
    ::renameat(directory_.get(), NameOf(number - 1).c_str(), directory_.get(), NameOf(number).c_str());
  }
  if (limits_.files <= 1) {
    ::unlinkat(directory_.get(), kLog, 0);
  }
  file_.Reset();
}

Result<> LogWriter::Append(std::string_view record) {
  if (file_ && size_ > 0 && size_ + static_cast<std::int64_t>(record.size()) > limits_.bytes) {
    Rotate();
  }
  if (!file_) {
    TRY(OpenNewest());
  }
  const ssize_t written = ::write(file_.get(), record.data(), record.size());
  if (written == static_cast<ssize_t>(record.size())) {
    size_ += written;
    return {};
  }
  const Error error = SysError("write", kLog, written < 0 ? errno : ENOSPC);
  // A torn record would swallow the next one.
  if (written > 0 && ::ftruncate(file_.get(), size_) != 0) {
    file_.Reset();
  }
  return std::unexpected(error);
}

void LogWriter::Write(Stream stream, bool whole, std::string_view bytes) {
  if (lost_ != 0) {
    const std::string words = std::to_string(lost_) + " records of output could not be written and are lost";
    if (!Append(FormatRecord(Now(), Stream::kSupervisor, true, words))) {
      ++lost_;
      return;
    }
    lost_ = 0;
  }
  if (!Append(FormatRecord(Now(), stream, whole, bytes))) {
    ++lost_;
  }
}

Result<LogReader> LogReader::Open(const std::string& directory, std::int64_t last) {
  LogReader reader;
  reader.path_ = directory;
  reader.directory_ = TRY(sys::Open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  reader.changes_ = Fd{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  if (!reader.changes_ || ::inotify_add_watch(reader.changes_.get(), directory.c_str(),
                                              IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB |
                                                  IN_DELETE_SELF | IN_DELETE) < 0) {
    return std::unexpected(SysError("inotify", directory));
  }
  // Newest first, until there are lines enough. A rotation meanwhile shows one file under two names: the second time
  // it is the same file.
  std::vector<std::pair<Fd, std::int64_t>> files;
  std::int64_t found = 0;
  for (int number = 0; number < kMostFiles && (last < 0 || found < std::max<std::int64_t>(last, 1)); ++number) {
    Fd file = OpenLog(reader.directory_.get(), number);
    if (!file) {
      if (number == 0) {
        continue;  // between two names
      }
      break;
    }
    if (!files.empty() && SameFile(files.back().first.get(), file.get())) {
      continue;
    }
    const std::int64_t lines = last < 0 ? 0 : CountLines(file.get());
    found += lines;
    files.emplace_back(std::move(file), lines);
  }
  if (files.empty()) {
    return reader;
  }
  // The others follow from this one, as they do while it is read.
  reader.file_ = std::move(files.back().first);
  if (last >= 0 && found > last) {
    SkipLines(reader.file_.get(), found - last);
  }
  return reader;
}

Result<> LogReader::ReadFile(const Visit& visit) {
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = ::read(file_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return std::unexpected(SysError("read", path_));
    }
    if (count == 0) {
      return {};
    }
    rest_.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
      TRY(visit(std::string_view{rest_}.substr(begin, end - begin)));
      begin = end + 1;
    }
    rest_.erase(0, begin);
  }
}

LogReader::Found LogReader::FindNext(Fd& next) const {
  // A rotation renames the oldest first, and for a moment a number in between is nobody's.
  constexpr int kGap = 2;
  for (int number = 0, missing = 0; number < kMostFiles && missing < kGap; ++number) {
    const Fd file = OpenLog(directory_.get(), number);
    missing = file ? 0 : missing + 1;
    if (!file || !SameFile(file.get(), file_.get())) {
      continue;
    }
    if (number == 0) {
      return Found::kNewest;
    }
    next = OpenLog(directory_.get(), number - 1);
    // Numbers only grow: where it has still the same one, the file that was opened is the next.
    const Fd again = OpenLog(directory_.get(), number);
    return next && again && SameFile(again.get(), file_.get()) ? Found::kNext : Found::kMoving;
  }
  return Found::kMoving;
}

Result<bool> LogReader::Next(const Visit& visit) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    struct stat status{};
    const bool there = file_ && ::fstat(file_.get(), &status) == 0 && status.st_nlink > 0;
    Fd next;
    const Found found = there ? FindNext(next) : Found::kNext;
    if (found == Found::kNewest) {
      return false;
    }
    if (found == Found::kMoving) {
      continue;
    }
    if (!there) {
      next = OpenOldest(directory_.get());
      if (!next) {
        return false;
      }
    }
    // What was written between its end that was seen and the rotation.
    if (file_) {
      TRY(ReadFile(visit));
    }
    file_ = std::move(next);
    rest_.clear();
    return true;
  }
  return false;  // the next change wakes the caller again
}

Result<> LogReader::Read(const Visit& visit) {
  std::array<char, 4096> events{};
  while (::read(changes_.get(), events.data(), events.size()) > 0) {
  }
  if (!file_ && !TRY(Next(visit))) {
    return {};
  }
  do {
    TRY(ReadFile(visit));
  } while (TRY(Next(visit)));
  return {};
}

}  // namespace nucleus::front
