// Descriptors that are made in another network namespace.
#pragma once

#include <functional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::egress {

// Where something of a container's is. Not owned.
struct Place {
  int netns = -1;
  int userns = -1;  // to be entered first, by a caller without rights over the host; -1: none
};

// May this process enter another network namespace and return to its own? Root of a user namespace has no rights over
// the host's.
bool CanComeBack();

// `make` runs in a child of this process, in the namespaces of `place`: who enters a user namespace cannot come back.
// What it returns is handed over.
Result<std::vector<Fd>> MakeIn(const Place& place, const std::function<Result<std::vector<Fd>>()>& make);

}  // namespace nucleus::egress
