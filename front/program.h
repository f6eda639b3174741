// nucleus itself, as the front ends call it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::front {

using Words = std::vector<std::string>;

// The options before the command, which are passed on as they were given.
struct Globals {
  Words words;
  std::string root;           // the state root that they, or the default, say
  bool default_root = false;  // it is the default
  std::string log;            // of --log; empty: none

  // Of `--events fd:N`, the descriptor that nucleus is to have; -1: none.
  [[nodiscard]] int EventsFd() const;
};

struct Child {
  pid_t pid = 0;
  Fd pidfd;
};

// Starts `nucleus GLOBALS ARGUMENTS`. `before` is called in the new process; false ends it.
Result<Child> StartNucleus(const Globals& globals, const Words& arguments, const std::function<bool()>& before);

// Its wait status.
Result<int> WaitFor(Child& child);

// Its path.
const char* NucleusProgram();

// Runs it to its end with nothing to read and nothing said.
Result<int> RunQuietly(const Globals& globals, const Words& arguments);

}  // namespace nucleus::front
