// `nucleus egress ID`: what is in force, read from the kernel.
#pragma once

#include <string>

#include "base/error.h"
#include "runtime/egress/helper/filters.h"

namespace nucleus::egress {

struct ShowOptions {
  bool json = false;
  std::string mode;
  std::string policy_digest;
  std::uint32_t generation = 0;
  std::string state_directory;  // where the refusals are written down
};

Result<std::string> Show(Filters& filters, const ShowOptions& options);

}  // namespace nucleus::egress
