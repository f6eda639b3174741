#include "policies/builtin.h"

namespace nucleus::policies {

std::string_view BuiltinAgentSeccomp() {
  return
#include "policies/agent-seccomp.inc"
      ;
}

}  // namespace nucleus::policies
