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

// The same for a process that has run, with all threads that it has now; new ones are born where their parent is. A
// process that has ended meanwhile is no error.
Result<> AttachThreads(const oci::StateResctrl& group, pid_t pid);

// Gives a group that is there the schemas of `rdt` that are set. The default group, which is the host's, is refused.
// The result is what stood there before, for Restore.
Result<std::string> Update(const std::string& mount, const oci::StateResctrl& group, const oci::IntelRdt& rdt);
Result<> Restore(const oci::StateResctrl& group, const std::string& schemata);

// Removes what Create made. What is gone already is no error.
Result<> Remove(const oci::StateResctrl& group);

}  // namespace nucleus::resctrl
