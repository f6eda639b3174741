// What a waiting system call is about to do with files and the network: its paths and addresses, out of the caller's
// memory. The caller may change them after the look: what is found is good for a proposal and for nothing else, and
// nothing is done with it but to write it down.
#pragma once

#include <linux/seccomp.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace nucleus::trace {

// One JSON object a line of the trace (Record::Add), without its count. Empty for calls that are not looked into, and
// for those of other architectures than the native one. `thread` is the caller's id as this process sees it.
std::vector<std::string> Observe(pid_t thread, const seccomp_data& call);

// The path as the container has it: `base` (absolute) in front of a relative one, without ".", "..", and double
// slashes. Symbolic links are not followed.
std::string PlainPath(const std::string& base, const std::string& path);

}  // namespace nucleus::trace
