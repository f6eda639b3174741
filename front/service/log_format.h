// The lines of a service's log: one a record, `TIME STREAM F|P TEXT`, as the logs of CRI are. What a workload writes
// can neither forge a line nor move a terminal's cursor: control characters and bytes that are no UTF-8 stand there as
// \xHH, from which LogText makes the exact bytes again. Pure: text in, text out.
#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace nucleus::front {

// Bytes of text that a record has at most, before they are escaped: a longer line is several records.
inline constexpr std::size_t kMostOfALine = std::size_t{16} << 10;

enum class Stream { kOut, kErr, kSupervisor };

// RFC 3339, UTC, nanoseconds.
std::string FormatTime(const timespec& time);

std::string EscapeLog(std::string_view bytes);
std::string UnescapeLog(std::string_view text);

// With its newline. `whole`: the line ends here ("F"); else more of it follows ("P").
std::string FormatRecord(const timespec& time, Stream stream, bool whole, std::string_view bytes);

struct LogRecord {
  std::string_view time;
  Stream stream = Stream::kOut;
  bool whole = true;
  std::string_view text;  // escaped
};
// A line without its newline. None where it is no record: a log's last line may be torn.
std::optional<LogRecord> ParseRecord(std::string_view line);

// A record's text for a terminal: what is escaped stays so, but for tabs and, with `colours`, the sequences that set
// colours (SGR), which are ended where the text ends.
std::string ForTerminal(std::string_view text, bool colours);

// Bytes of one stream → records.
class LineSplitter {
 public:
  // Calls `emit(whole, bytes)`.
  using Emit = std::function<void(bool, std::string_view)>;
  void Feed(std::string_view bytes, const Emit& emit);
  // What no newline has ended.
  void Flush(const Emit& emit);
  [[nodiscard]] bool pending() const {
    return !line_.empty();
  }

 private:
  std::string line_;
};

}  // namespace nucleus::front
