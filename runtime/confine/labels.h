// process.apparmorProfile and process.selinuxLabel: what the process is under from its next execve on.
// Inside runtime/confine only.
#pragma once

#include "runtime/confine/confine.h"

namespace nucleus::confine {

// Written through a procfs of our own: a file that is mounted over /proc in the container cannot stand in for the
// kernel's (CVE-2019-16884).
Result<> SetLabels(const Confinement& confinement);

}  // namespace nucleus::confine
