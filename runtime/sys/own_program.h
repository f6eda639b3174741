// The programs that belong to this one (nucleus-net and its like), found by the absolute path that the build gave them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::sys {

// Opened (O_PATH) to be executed by this very descriptor: a file that only root, or this user, may change. EPERM where
// others may.
Result<Fd> OpenOwnProgram(const char* path);

// All that such a program gets of this process.
struct OwnProgram {
  int file = -1;                                 // of OpenOwnProgram
  std::vector<std::string> words;                // its argv, its name first
  std::vector<std::string> environment;          // NAME=VALUE
  std::vector<std::pair<int, int>> descriptors;  // one of this process, and the number that it has there; 0 to 2 are
                                                 // /dev/null where nothing is said, from 3 on no number is left out
  bool session = false;                          // of its own: out of reach of the terminal and of its signals
};

struct OwnProcess {
  pid_t pid = 0;
  Fd pidfd;
};

// Returns once it was executed; an error where it could not be.
Result<OwnProcess> StartOwnProgram(OwnProgram program);

// For its input: a file without a name, at its beginning, that has `text`.
Result<Fd> InMemory(std::string_view text, const char* name);

}  // namespace nucleus::sys
