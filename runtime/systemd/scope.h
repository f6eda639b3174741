// The unit of systemd's that a container is in, decided before anything is asked of systemd.
// Source: systemd.scope(5), systemd.slice(5), systemd.resource-control(5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"
#include "runtime/systemd/property.h"

namespace nucleus::systemd {

struct Scope {
  std::string unit;   // "libpod-0123.scope"
  std::string slice;  // "machine-test.slice"
  std::string path;   // of both in the tree below the manager's own cgroup: "/machine.slice/machine-test.slice/..."
  bool user = false;  // of the user's own systemd
  std::vector<Property> properties;  // all but the processes
};

// What the unit of container `id` is to be. `cgroups_path` is linux.cgroupsPath: "SLICE:PREFIX:NAME", each part may be
// empty, or all of it. `unified`: the host has cgroup v2 alone.
Result<Scope> PlanScope(const std::string& id, const oci::Spec& spec, bool user, bool unified);

// "a-b.slice" → "/a.slice/a-b.slice"; "-.slice" → "".
Result<std::string> ExpandSlice(const std::string& slice);

// The limits that systemd has words for. The others, and these with all their digits, stand in the cgroup's own files;
// systemd has to know them, or it would put its defaults there the next time that it looks after the unit.
Result<std::vector<Property>> ResourceProperties(const oci::Resources& resources, bool unified);

}  // namespace nucleus::systemd
