// `nucleus egress`: the rules of a container that runs, and new ones in their place (docs/egress.md).
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "runtime/container/container.h"

namespace nucleus::container {

// Rules, live sets, counters and what was refused, as text for people or as JSON.
Result<std::string> ShowEgress(const Settings& settings, const std::string& id, bool json);

// Calls `each` with every refusal (a line of JSON without its end): those that there are, and those that come, until
// the container's init has ended or `each` fails. An error where the policy does not log.
Result<> FollowRefusals(const Settings& settings, const std::string& id,
                        const std::function<Result<>(std::string_view)>& each);

// `pin` is PATH@sha256:HEX, or a path alone where the container's mode lets it; a relative path starts at the working
// directory. Each packet meets the old rules or the new ones, whole. The result is JSON: what is in force now.
Result<std::string> ReplaceEgress(const Settings& settings, const std::string& id, const std::string& pin);

}  // namespace nucleus::container
