#include "shim/cli/front.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#ifndef NUCLEUS_FRONT
#define NUCLEUS_FRONT ""
#endif

namespace nucleus::shim {

bool IsFrontCommand(std::string_view word) {
  return std::ranges::any_of(kFrontCommands, [word](const auto& command) { return command.first == word; });
}

Error BecomeFront(int argc, char** argv, int options) {
  constexpr const char* kProgram = NUCLEUS_FRONT;
  struct stat status{};
  if (::stat(kProgram, &status) != 0) {
    return SysError("nucleus-front", kProgram);
  }
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != ::geteuid()) ||
      (status.st_mode & kOthersWrite) != 0) {
    return Failure(std::string{kProgram} + " is not root's alone to change", EPERM);
  }
  std::string name{"nucleus-front"};
  std::string number = std::to_string(options);
  std::vector<char*> words = {name.data(), number.data()};
  words.insert(words.end(), argv + 1, argv + argc);
  words.push_back(nullptr);
  ::execv(kProgram, words.data());
  return SysError("execute", kProgram);
}

}  // namespace nucleus::shim
