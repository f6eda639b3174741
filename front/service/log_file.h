// A service's log on disk: `log` and, older, `log.1`, `log.2`... in its directory, together never larger than was
// agreed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "front/service/log_format.h"

namespace nucleus::front {

struct LogLimits {
  std::int64_t bytes = std::int64_t{8} << 20;  // of each file
  int files = 3;                               // with the newest
};

class LogWriter {
 public:
  // `directory` is open, and the service's own. What is there is appended to.
  static Result<LogWriter> Open(int directory, const LogLimits& limits);
  // Never fails: what could not be written (a full disk) is counted, and told in a record of the supervisor's as soon
  // as one can be written again.
  void Write(Stream stream, bool whole, std::string_view bytes);

 private:
  LogWriter(Fd directory, LogLimits limits) : directory_(std::move(directory)), limits_(limits) {
  }
  Result<> OpenNewest();
  Result<> Append(std::string_view record);
  void Rotate();

  Fd directory_;
  LogLimits limits_;
  Fd file_;
  std::int64_t size_ = 0;
  std::uint64_t lost_ = 0;  // records
};

// Reads the records of a log, oldest first, while it may be written and rotated.
class LogReader {
 public:
  using Visit = std::function<Result<>(std::string_view line)>;
  // `last`: only so many lines from the end; -1: all.
  static Result<LogReader> Open(const std::string& directory, std::int64_t last);
  // All whole lines that are there by now. `visit` gets each without its newline.
  Result<> Read(const Visit& visit);
  // Readable when something may have been written.
  [[nodiscard]] int changes() const {
    return changes_.get();
  }

 private:
  LogReader() = default;
  Result<> ReadFile(const Visit& visit);
  enum class Found { kNewest, kNext, kMoving };
  // Where the open file is among the others, which may be renamed meanwhile.
  Found FindNext(Fd& next) const;
  // To the file that came after the one that is open; false where there is none.
  Result<bool> Next(const Visit& visit);

  std::string path_;
  Fd directory_;
  Fd changes_;
  Fd file_;
  std::string rest_;
};

}  // namespace nucleus::front
