// The policies that ship with the runtime (policies/builtin/), embedded when it is built.
#pragma once

#include <string_view>

namespace nucleus::policies {

// agent-seccomp.json, byte for byte: what a mode loads where no policy is named (docs/policies.md tells the reasons).
std::string_view BuiltinAgentSeccomp();

}  // namespace nucleus::policies
