// The file of --config: TOML, or JSON where its first character is a brace, with the names of the command line's
// options.
//
//   workspace = "/srv/project:copy"
//   allow = ["registry.example.org:443"]
//   memory = "512m"
//   pids = 100
//   command = ["/bin/sh", "-c", "make"]
#pragma once

#include <string>

#include "base/error.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

// `source` is a path or fd:N. Errors name file, line and key.
Result<> ApplyConfig(const std::string& source, SandboxOptions& options);

}  // namespace nucleus::front
