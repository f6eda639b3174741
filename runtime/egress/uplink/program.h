// The programs that carry packets in user space, where they may be taken from.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::uplink {

struct Program {
  enum class Kind { kPasta, kSlirp };
  Kind kind = Kind::kPasta;
  std::string path;
  Fd file;  // to be executed by
};

// pasta, else slirp4netns, from directories that are root's alone to change; a program that somebody else could change
// is an error, not passed over. ENOENT with the remedy where there is none.
Result<Program> FindProgram();

}  // namespace nucleus::uplink
