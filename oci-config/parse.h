// config.json → Spec.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::oci {

// Bounds on hostile input. A real config.json is a few tens of kilobytes; Kubernetes' largest stay below 1 MB.
inline constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;
inline constexpr int kMaxJsonDepth = 64;

// Parses and validates what the specification says of the values alone (no look at the host). Unknown properties are
// ignored; a wrong type, an invalid value or a broken rule is an error that begins with `name` and the property's path:
// "config.json: linux.resources.memory.limit: expected integer".
Result<Spec> ParseSpec(std::string_view json, std::string_view name);

// One `process` object alone: `exec --process FILE`. Paths in errors begin with the property ("user.uid: ...").
Result<Process> ParseProcess(std::string_view json, std::string_view name);

// One `linux.resources` object alone: `update --resources FILE`.
Result<Resources> ParseResources(std::string_view json, std::string_view name);

// One `linux.seccomp` object alone, as a policy document: unknown and repeated keys are errors, errors name the line.
Result<Seccomp> ParseSeccompDocument(std::string_view json, std::string_view name);

}  // namespace nucleus::oci
