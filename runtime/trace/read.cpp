#include "runtime/trace/read.h"

#include <seccomp.h>

#include <algorithm>
#include <optional>

#include "oci-config/json_reader.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/trace/arguments.h"
#include "runtime/trace/record.h"

namespace nucleus::trace {
namespace {

constexpr std::size_t kMaxLine = std::size_t{64} << 10;
constexpr std::size_t kMaxEntries = 1000000;

struct Line {
  std::optional<std::int64_t> version;
  std::optional<bool> end;
  std::uint64_t dropped = 0;
  std::string syscall;
  std::string architecture;
  std::vector<std::uint32_t> arguments;
  std::string path;
  std::string address;
  std::string use;
  std::string program;
  std::uint64_t count = 0;
};

std::unexpected<Error> Bad(const std::string& where, const std::string& what) {
  return std::unexpected(Failure(where + ": " + what, EINVAL));
}

Result<Line> ParseLine(std::string_view text, const std::string& where) {
  oci::JsonReader in{text, where};
  Line line;
  in.Object({{"nucleusTrace", line.version},
             {"end", line.end},
             {"dropped", line.dropped},
             {"syscall", line.syscall},
             {"arch", line.architecture},
             {"args", line.arguments},
             {"path", line.path},
             {"address", line.address},
             {"use", line.use},
             {"by", line.program},
             {"count", line.count}});
  TRY(in.Finish());
  return line;
}

Result<> AddSyscall(const Line& line, const std::string& where, Trace& trace) {
  const std::uint32_t token = confine::ArchitectureToken(line.architecture);
  if (token == 0) {
    return Bad(where, "arch: unknown architecture \"" + line.architecture + "\"");
  }
  if (line.syscall == kUnknown) {
    trace.unknown += line.count;
    return {};
  }
  if (confine::SyscallNumber(line.syscall) == __NR_SCMP_ERROR) {
    return Bad(where, "syscall: unknown system call \"" + line.syscall + "\"");
  }
  const std::span<const Argument> matter = ArgumentsThatMatter(line.syscall);
  if (!line.arguments.empty() && line.arguments.size() != matter.size()) {
    return Bad(where, "args: must be " + std::to_string(matter.size()) + " for " + line.syscall);
  }
  for (std::size_t i = 0; i < line.arguments.size(); ++i) {
    if ((line.arguments[i] & ~matter[i].mask) != 0) {
      return Bad(where, "args[" + std::to_string(i) + "]: has bits that are not looked at");
    }
  }
  std::uint64_t& count = trace.calls[{.name = line.syscall, .architecture = line.architecture}][line.arguments];
  count += std::min(line.count, UINT64_MAX - count);
  return {};
}

Result<> AddAccess(const Line& line, const std::string& where, Trace& trace) {
  const bool file = !line.path.empty();
  if (file && line.path.front() != '/') {
    return Bad(where, "path: must be absolute");
  }
  std::map<Access, std::uint64_t>& to = file ? trace.files : trace.connections;
  std::uint64_t& count =
      to[{.what = file ? line.path : line.address, .use = line.use, .syscall = line.syscall, .program = line.program}];
  count += std::min(line.count, UINT64_MAX - count);
  if (trace.files.size() + trace.connections.size() > kMaxEntries) {
    return Bad(where, "too many different paths");
  }
  return {};
}

Result<> AddLine(const Line& line, const std::string& where, Trace& trace) {
  if (line.count == 0) {
    return Bad(where, "count: must be above 0");
  }
  if (!line.path.empty() || !line.address.empty()) {
    return AddAccess(line, where, trace);
  }
  if (line.syscall.empty()) {
    return Bad(where, "neither a system call nor a path nor an address");
  }
  return AddSyscall(line, where, trace);
}

}  // namespace

Result<> ReadTrace(std::string_view text, const std::string& name, Trace& trace) {
  bool ended = false;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string where = name + ":" + std::to_string(number);
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) {
      break;  // cut short while it was written
    }
    const std::string_view content = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    if (ended) {
      return Bad(where, "follows the end");
    }
    if (content.size() > kMaxLine) {
      return Bad(where, "longer than " + std::to_string(kMaxLine) + " bytes");
    }
    const Line line = TRY(ParseLine(content, where));
    if (line.version.has_value() != (number == 1)) {
      return Bad(where, number == 1 ? "not a trace: no nucleusTrace" : "a second header");
    }
    if (line.version) {
      if (*line.version != kFormatVersion) {
        return Bad(where, "nucleusTrace: unknown version " + std::to_string(*line.version));
      }
      continue;
    }
    ended = line.end.value_or(false);
    if (ended && line.dropped != 0) {
      trace.warnings.push_back(where + ": " + std::to_string(line.dropped) + " calls found no room in it");
    }
    if (!ended) {
      TRY(AddLine(line, where, trace));
    }
  }
  if (!ended) {
    trace.warnings.push_back(name + ": has no end: the tracer was killed, or is still at work");
  }
  return {};
}

}  // namespace nucleus::trace
