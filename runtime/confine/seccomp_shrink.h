// A seccomp filter with the same answers in fewer instructions. Inside runtime, and for tests.
//
// The kernel translates every instruction when the filter is loaded, and then asks the filter about every system call
// there is: for a usual profile, whose calls are compared one by one, that is most of what loading it costs. Numbers
// that follow each other and have the same answer need one comparison.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace nucleus::confine {

// Of a program of the kind that libseccomp makes: it compares the architecture and the number first, and what looks at
// arguments is kept as it is. Another kind comes back unchanged, and so does one that would not get shorter.
std::vector<sock_filter> ShrinkFilter(const std::vector<sock_filter>& filter);

}  // namespace nucleus::confine
