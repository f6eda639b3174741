// Reads trace files. They were written about a hostile program: nothing in them is taken as given.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::trace {

inline constexpr std::size_t kMaxTraceBytes = std::size_t{64} << 20;

// Of one system call on one architecture.
struct Call {
  std::string name;
  std::string architecture;
  auto operator<=>(const Call&) const = default;
};

// What one program did with one path or address.
struct Access {
  std::string what;  // the path; or "tcp/443 10.0.0.1"
  std::string use;   // "read", "execute", ...; "connect", "bind"
  std::string syscall;
  std::string program;  // as the kernel names it: at most 15 bytes
  auto operator<=>(const Access&) const = default;
};

// Traces merge: reading one more adds to what is there.
struct Trace {
  // The values of ArgumentsThatMatter, in their order, → how many times. Empty: any.
  std::map<Call, std::map<std::vector<std::uint32_t>, std::uint64_t>> calls;
  std::map<Access, std::uint64_t> files;
  std::map<Access, std::uint64_t> connections;
  std::uint64_t unknown = 0;          // calls without a name
  std::vector<std::string> warnings;  // of traces that are not whole
};

// Errors are "NAME:LINE: ...": a line that is no JSON, that is of no kind known, a system call or an architecture that
// this build does not know, arguments that are not as the table says, another version of the format. A last line that
// was cut short is left out with a warning, as is a missing end.
Result<> ReadTrace(std::string_view text, const std::string& name, Trace& trace);

}  // namespace nucleus::trace
