#include "runtime/systemd/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "base/fd.h"
#include "runtime/sys/own_program.h"
#include "runtime/sys/syscalls.h"

#ifndef NUCLEUS_SYSTEMD_HELPER
#define NUCLEUS_SYSTEMD_HELPER ""
#endif

namespace nucleus::systemd {
namespace {

constexpr const char* kHelper = NUCLEUS_SYSTEMD_HELPER;
// Longer than the helper itself waits for a job of systemd's.
constexpr int kTimeoutMs = 120000;
constexpr std::size_t kMaxSelfCgroup = 65536;

// What the helper needs to find the bus.
std::vector<std::string> EnvironmentFor(bool user) {
  std::vector<std::string> environment;
  for (const char* name : {"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"}) {
    const char* value = std::getenv(name);
    if (user && value != nullptr) {
      environment.push_back(std::string{name} + "=" + value);
    }
  }
  return environment;
}

Result<Fd> OpenHelper() {
  if (kHelper[0] != '/') {
    return std::unexpected(Failure("this build has no systemd cgroup driver", ENOTSUP));
  }
  return TRY_IN("systemd cgroup driver", sys::OpenOwnProgram(kHelper));
}

// All of the answer; an error once the time is over.
Result<std::string> ReadAnswer(int output) {
  std::string answer;
  std::array<char, kMaxAnswer> buffer{};
  for (;;) {
    pollfd entry{.fd = output, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&entry, 1, kTimeoutMs);
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    if (ready <= 0) {
      return std::unexpected(Failure("systemd does not answer", ETIMEDOUT));
    }
    const ssize_t count = ::read(output, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return answer;
    }
    answer.append(buffer.data(), std::min(static_cast<std::size_t>(count), kMaxAnswer - answer.size()));
  }
}

}  // namespace

bool HelperInstalled() {
  return kHelper[0] == '/' && ::access(kHelper, X_OK) == 0;
}

Result<> CheckRunning(bool user) {
  TRY(OpenHelper());
  if (!user) {
    struct stat status{};
    // The sign that sd_booted(3) goes by.
    if (::lstat("/run/systemd/system", &status) != 0 || !S_ISDIR(status.st_mode)) {
      return std::unexpected(
          Failure("the systemd cgroup driver was asked for, but systemd is not running on this host", ENOTSUP));
    }
    return {};
  }
  const char* directory = std::getenv("XDG_RUNTIME_DIR");
  const std::string runtime{directory != nullptr ? directory : ""};
  const bool reachable = std::getenv("DBUS_SESSION_BUS_ADDRESS") != nullptr ||
                         (!runtime.empty() && (::access((runtime + "/systemd/private").c_str(), F_OK) == 0 ||
                                               ::access((runtime + "/bus").c_str(), F_OK) == 0));
  if (!reachable) {
    return std::unexpected(
        Failure("the systemd cgroup driver was asked for, but this user has no systemd session: neither "
                "DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR leads to one",
                ENOTSUP));
  }
  return {};
}

Result<> Ask(const Request& request) {
  const std::string text = TRY(Encode(request));
  const Fd helper = TRY(OpenHelper());
  const Fd input = TRY(sys::InMemory(text, "systemd-request"));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  const Fd output{ends[0]};
  Fd write{ends[1]};
  const sys::OwnProcess process =
      TRY(sys::StartOwnProgram({.file = helper.get(),
                                .words = {"nucleus-systemd"},
                                .environment = EnvironmentFor(request.user),
                                .descriptors = {{input.get(), STDIN_FILENO}, {write.get(), STDOUT_FILENO}}}));
  write.Reset();
  const Result<std::string> answer = ReadAnswer(output.get());
  if (!answer) {
    (void)sys::PidfdSendSignal(process.pidfd.get(), SIGKILL);
  }
  int status = 0;
  while (::waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  TRY(answer);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return {};
  }
  std::string words = answer->empty() ? "cannot run " + std::string{kHelper} : *answer;
  // One line, whatever systemd has said.
  for (char& c : words) {
    c = c == '\n' ? ' ' : c;
  }
  return std::unexpected(Failure("systemd: " + words, EIO));
}

Result<std::string> CgroupOf(pid_t pid, const std::string& path, bool unified) {
  const std::string file = "/proc/" + std::to_string(pid) + "/cgroup";
  const std::string text = "\n" + TRY(ReadFile(file, kMaxSelfCgroup));
  const std::string_view mark = unified ? "\n0::" : ":name=systemd:";
  const std::size_t found = text.find(mark);
  if (found == std::string::npos) {
    return std::unexpected(Failure(file + ": systemd has no hierarchy here", ENOTSUP));
  }
  const std::size_t begin = found + mark.size();
  std::string own = text.substr(begin, text.find('\n', begin) - begin);
  if (!own.ends_with(path)) {
    return std::unexpected(Failure("systemd has not put the process into " + path + ": it is in " + own, EIO));
  }
  return own;
}

}  // namespace nucleus::systemd
