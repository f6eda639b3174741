// What the runtime asks of its helper, the one program here that speaks D-Bus: a request of bounded size on the
// helper's standard input, and its answer on the standard output. Both sides are of one build.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/systemd/property.h"

namespace nucleus::systemd {

enum class Operation {
  kStart,   // a transient unit, until its job is done
  kSet,     // new values of properties, until the next boot
  kAttach,  // a process (property PIDs) into the unit's cgroup, or one below it (property Subgroup)
  // A transient unit, without waiting until it is active. One that has ended and that systemd keeps, since others refer
  // to it, is started again where its Environment is the request's.
  kLaunch,
  kStop,  // kill what is in it, stop it, forget its failure; done as well where there is no such unit
};

struct Request {
  Operation operation = Operation::kStart;
  bool user = false;  // the user's systemd, not the system's
  std::string unit;
  std::vector<Property> properties;
};

inline constexpr std::size_t kMaxRequest = std::size_t{1} << 20;
// Of the answer: nothing where all went well, else the error's text.
inline constexpr std::size_t kMaxAnswer = 4096;

// E2BIG above kMaxRequest.
Result<std::string> Encode(const Request& request);
Result<Request> Decode(std::string_view text);

}  // namespace nucleus::systemd
