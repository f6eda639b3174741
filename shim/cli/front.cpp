#include "shim/cli/front.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/sys/own_program.h"

#ifndef NUCLEUS_FRONT
#define NUCLEUS_FRONT ""
#endif

namespace nucleus::shim {

bool IsFrontCommand(std::string_view word) {
  return std::ranges::any_of(kFrontCommands, [word](const auto& command) { return command.first == word; });
}

Error BecomeFront(int argc, char** argv, int options) {
  constexpr const char* kProgram = NUCLEUS_FRONT;
  const Result<Fd> program = sys::OpenOwnProgram(kProgram);
  if (!program) {
    return Context("nucleus-front", program.error());
  }
  std::string name{"nucleus-front"};
  std::string number = std::to_string(options);
  std::vector<char*> words = {name.data(), number.data()};
  words.insert(words.end(), argv + 1, argv + argc);
  words.push_back(nullptr);
  ::execveat(program->get(), "", words.data(), environ, AT_EMPTY_PATH);
  return SysError("execute", kProgram);
}

}  // namespace nucleus::shim
