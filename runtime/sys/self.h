// The runtime's own image, kept out of the container's reach.
#pragma once

#include "base/error.h"

namespace nucleus::sys {

// Makes sure that this process runs from an image of the binary that nobody can open for writing: called first by every
// command that puts a process into a container. On a writable image it executes itself again from a detached read-only
// mount of the binary (whose descriptor is gone before our code runs again, so that nobody can make it writable), or,
// without the privilege for that, from a sealed memfd; it then returns only in the new image. Also makes the process
// non-dumpable, so that nothing inside a container can trace it or walk its descriptors.
// An error where neither way works: then no container may be entered (CVE-2019-5736).
Result<> ProtectSelf(char** argv);

}  // namespace nucleus::sys
