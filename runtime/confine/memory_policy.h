// linux.memoryPolicy: on which NUMA nodes the container's memory is taken. Inside runtime/confine only.
// Source: config-linux.md "Memory policy", set_mempolicy(2).
#pragma once

#include "runtime/confine/confine.h"

namespace nucleus::confine {

Result<> SetMemoryPolicy(const oci::MemoryPolicy& policy);

}  // namespace nucleus::confine
