// --allow, --dns and --broker → an egress policy (docs/egress.md).
#pragma once

#include <string>

#include "base/error.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

// The document; empty where nothing may be connected to. It has been read by the policies' own reader.
Result<std::string> EgressDocument(const SandboxOptions& options);

// One word of --allow, or of a service's `deny`, which takes no names. The error says what is wrong with it alone.
Result<> CheckAllow(const std::string& text);
Result<> CheckDeny(const std::string& text);

}  // namespace nucleus::front
