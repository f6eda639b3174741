#include "runtime/sys/process_stat.h"

#include <charconv>
#include <string>

#include "base/fd.h"

namespace nucleus::sys {

Result<ProcessStat> ParseProcessStat(std::string_view text) {
  const auto malformed = [] { return std::unexpected(Failure("malformed process status", EINVAL)); };
  // The command name, in parentheses, may itself hold parentheses and blanks: count from the last one.
  const std::size_t end = text.rfind(')');
  if (end == std::string_view::npos || end + 3 >= text.size()) {
    return malformed();
  }
  text.remove_prefix(end + 2);
  ProcessStat stat;
  stat.state = text[0];
  // The state is field 3; the start time field 22.
  for (int field = 3; field < 22; ++field) {
    const std::size_t blank = text.find(' ');
    if (blank == std::string_view::npos) {
      return malformed();
    }
    text.remove_prefix(blank + 1);
  }
  if (std::from_chars(text.data(), text.data() + text.size(), stat.start_time).ec != std::errc{}) {
    return malformed();
  }
  return stat;
}

Result<ProcessStat> ReadProcessStat(pid_t pid) {
  return ParseProcessStat(TRY(ReadRecord("/proc/" + std::to_string(pid) + "/stat")));
}

}  // namespace nucleus::sys
