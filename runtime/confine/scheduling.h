// Scheduler, I/O priority, personality. Inside runtime/confine only.
#pragma once

#include "runtime/confine/confine.h"

namespace nucleus::confine {

Result<> SetScheduling(const Confinement& confinement);

}  // namespace nucleus::confine
