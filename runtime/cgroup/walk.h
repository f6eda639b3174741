// All cgroups below one, whatever a workload made there: depth and length of paths have no bound, so the way leads from
// descriptor to descriptor, and nothing recurses. Inside runtime/cgroup only.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"

namespace nucleus::cgroup {

// `enter` is called with a descriptor of `top` and of every directory below it, `leave` with the parent's descriptor
// and the name of each but `top` once all below it is done. Directories that vanish meanwhile are passed over; `top`
// being gone is no error.
Result<> Walk(const std::string& top, const std::function<Result<>(int directory)>& enter,
              const std::function<void(int parent, const std::string& name)>& leave);

}  // namespace nucleus::cgroup
