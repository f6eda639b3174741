// From a bundle to its plan on this host: for create, which carries it out, and for explain, which prints it.
#pragma once

#include "base/error.h"
#include "runtime/container/bundle.h"
#include "runtime/container/container.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

struct BundlePlan {
  plan::Host host;
  plan::Plan plan;
};

// Makes nothing. The plan's warnings are the caller's to tell.
Result<BundlePlan> PlanBundle(const Settings& settings, const CreateOptions& options, const Bundle& bundle);

}  // namespace nucleus::container
