#include "runtime/egress/uplink/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "runtime/sys/syscalls.h"

namespace nucleus::uplink {
namespace {

constexpr const char* kOwn = "/proc/self/ns/net";
constexpr std::size_t kMaxText = 4096;

}  // namespace

Result<Visit> Visit::Begin(int netns) {
  Fd home = TRY(sys::Open(kOwn, O_RDONLY));
  TRY(sys::SetNs(netns, CLONE_NEWNET, "network namespace"));
  return Visit{std::move(home)};
}

Visit::~Visit() {
  if (home_ && !sys::SetNs(home_.get(), CLONE_NEWNET, "network namespace")) {
    std::abort();
  }
}

Result<> Inside(int netns, const std::function<Result<>()>& work) {
  const Fd home = TRY(sys::Open(kOwn, O_RDONLY));
  if (sys::SetNs(home.get(), CLONE_NEWNET, "network namespace")) {
    const Visit visit = TRY(Visit::Begin(netns));
    return work();
  }
  Fd here;
  Fd there;
  TRY(sys::SocketPair(here, there));
  const pid_t child = TRY(sys::Clone3({}));
  if (child == 0) {
    here.Reset();
    Result<> done = sys::SetNs(netns, CLONE_NEWNET, "network namespace");
    done = done ? work() : done;
    const std::string text = done ? "" : std::to_string(done.error().code) + " " + done.error().message;
    (void)!::send(there.get(), text.data(), text.size(), MSG_NOSIGNAL);
    ::_exit(done ? 0 : 1);
  }
  there.Reset();
  std::array<char, kMaxText> text{};
  const ssize_t size = ::recv(here.get(), text.data(), text.size(), 0);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return {};
  }
  const std::string said{text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  const std::size_t space = said.find(' ');
  if (space == std::string::npos) {
    return std::unexpected(Failure("the work in a network namespace has come to nothing", ECHILD));
  }
  return std::unexpected(Failure(said.substr(space + 1), static_cast<int>(std::strtol(said.c_str(), nullptr, 10))));
}

Result<std::string> NetnsName(int netns) {
  const struct stat status = TRY(sys::Fstat(netns, "network namespace"));
  return std::to_string(status.st_ino);
}

Result<std::string> NetnsName() {
  const Fd own = TRY(sys::Open(kOwn, O_RDONLY));
  return NetnsName(own.get());
}

}  // namespace nucleus::uplink
