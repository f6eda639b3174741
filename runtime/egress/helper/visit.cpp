#include "runtime/egress/helper/visit.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/container/channel.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::egress {
namespace {

using container::Tag;

Result<bool> IsOwn(int userns) {
  const Fd own = TRY(sys::Open("/proc/self/ns/user", O_RDONLY));
  const struct stat mine = TRY(sys::Fstat(own.get(), "/proc/self/ns/user"));
  const struct stat theirs = TRY(sys::Fstat(userns, "user namespace"));
  return mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev;
}

Result<std::vector<Fd>> Enter(const Place& place, const std::function<Result<std::vector<Fd>>()>& make) {
  // Who is in it already cannot enter it.
  if (place.userns >= 0 && !TRY(IsOwn(place.userns))) {
    TRY(sys::SetNs(place.userns, CLONE_NEWUSER, "user namespace"));
  }
  TRY(sys::SetNs(place.netns, CLONE_NEWNET, "network namespace"));
  return make();
}

}  // namespace

bool CanComeBack() {
  const Result<Fd> home = sys::Open("/proc/self/ns/net", O_RDONLY);
  return home && sys::SetNs(home->get(), CLONE_NEWNET, "network namespace");
}

Result<std::vector<Fd>> MakeIn(const Place& place, const std::function<Result<std::vector<Fd>>()>& make) {
  Fd ours;
  Fd theirs;
  TRY(sys::SocketPair(ours, theirs));
  const pid_t pid = TRY(sys::Clone3({}));
  if (pid == 0) {
    const Result<std::vector<Fd>> made = Enter(place, make);
    if (!made) {
      (void)container::Send(theirs.get(), Tag::kError, made.error().message, made.error().code);
      ::_exit(1);
    }
    for (const Fd& fd : *made) {
      (void)container::SendWithFd(theirs.get(), Tag::kGo, fd.get());
    }
    (void)container::Send(theirs.get(), Tag::kReady);
    ::_exit(0);
  }
  theirs.Reset();
  std::vector<Fd> fds;
  Result<> result;
  for (;;) {
    Result<container::Message> message = container::Receive(ours.get());
    if (!message || message->tag == Tag::kError) {
      result = std::unexpected(message ? Failure(message->text, message->code) : message.error());
      break;
    }
    if (message->tag == Tag::kReady) {
      break;
    }
    fds.push_back(std::move(message->fd));
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  TRY(std::move(result));
  return fds;
}

}  // namespace nucleus::egress
