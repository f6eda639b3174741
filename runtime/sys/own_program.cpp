#include "runtime/sys/own_program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "runtime/sys/syscalls.h"

namespace nucleus::sys {

Result<Fd> OpenOwnProgram(const char* path) {
  Fd program = TRY(Open(path, O_PATH));
  const struct stat status = TRY(Fstat(program.get(), path));
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  if (!S_ISREG(status.st_mode) || (status.st_uid != 0 && status.st_uid != ::geteuid()) ||
      (status.st_mode & kOthersWrite) != 0) {
    return std::unexpected(Failure(std::string{path} + " is not root's alone to change", EPERM));
  }
  return program;
}

}  // namespace nucleus::sys
