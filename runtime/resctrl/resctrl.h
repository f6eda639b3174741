// linux.intelRdt: the container's group in the resctrl filesystem.
// Source: config-linux.md "IntelRdt", Documentation/filesystems/resctrl.rst.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"

namespace nucleus::resctrl {

// Where resctrl is mounted, from the text of /proc/self/mountinfo; empty where it is not.
std::string FindMount(std::string_view mountinfo);
// The same for this process.
Result<std::string> ReadMount();

// Makes the group that the bundle asks for, or uses the one that is there, writes its schemata, and makes its
// monitoring group. The result says what was made, hence what Remove removes. On error nothing that was made stays.
Result<oci::StateResctrl> Create(const std::string& mount, const oci::IntelRdt& rdt, const std::string& id);

// Puts a process into the group, and into its monitoring group.
Result<> Attach(const oci::StateResctrl& group, pid_t pid);

// Removes what Create made. What is gone already is no error.
Result<> Remove(const oci::StateResctrl& group);

}  // namespace nucleus::resctrl
