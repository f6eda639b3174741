// Setting the five sets. Inside runtime/confine only.
#pragma once

#include "runtime/confine/confine.h"

namespace nucleus::confine {

Result<> DropBounding(std::uint64_t keep);
// Effective, permitted, inheritable as given, with `also` on top of the first two; then ambient.
Result<> SetCapabilities(const CapabilitySets& sets, std::uint64_t also);

}  // namespace nucleus::confine
