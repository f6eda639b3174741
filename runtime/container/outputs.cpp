#include "runtime/container/outputs.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

Result<> SendOver(const std::string& path, int fd, const char* payload) {
  const Fd socket = TRY(sys::ConnectUnix(path, SOCK_STREAM));
  return sys::SendFd(socket.get(), fd, payload, path);
}

}  // namespace

Result<> CheckTerminalOptions(bool terminal, const IoOptions& io) {
  const bool detached = !io.foreground;
  if (terminal && detached && io.console_socket.empty()) {
    return std::unexpected(Failure("cannot allocate tty if runc will detach without setting console socket"));
  }
  if ((!terminal || !detached) && !io.console_socket.empty()) {
    return std::unexpected(Failure("cannot use console socket if runc will not detach or allocate tty"));
  }
  return {};
}

void TakeCallersSize(const IoOptions& io, oci::Process& process) {
  winsize size{};
  if (process.terminal && io.foreground && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
    process.console_size = {.height = size.ws_row, .width = size.ws_col};
  }
}

Result<> WritePidFile(const std::string& path, pid_t pid) {
  if (path.empty()) {
    return {};
  }
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  const std::string temporary = directory + "." + path.substr(slash == std::string::npos ? 0 : slash + 1);
  {
    constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_SYNC;
    Result<Fd> file = sys::Open(temporary, kNew, 0666);
    if (!file && file.error().code == EEXIST) {
      // Left by a create that was killed right here; the name is taken anew, never what it may be a link to.
      ::unlink(temporary.c_str());
      file = sys::Open(temporary, kNew, 0666);
    }
    if (!file) {
      return std::unexpected(file.error());
    }
    const Result<> written = WriteAll(file->get(), std::to_string(pid), temporary);
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int err = errno;
    ::unlink(temporary.c_str());
    return std::unexpected(SysError("rename", path, err));
  }
  return {};
}

Result<> SendConsole(const std::string& path, int master) {
  return SendOver(path, master, "/dev/ptmx");
}

Result<> SendPidfd(const std::string& path, int pidfd) {
  return SendOver(path, pidfd, "pidfd");
}

}  // namespace nucleus::container
