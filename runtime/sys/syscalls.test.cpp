// The wrappers that decide something themselves.

#include "runtime/sys/syscalls.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "runtime/sys/fault.h"

namespace nucleus::sys {
namespace {

// Runs `body` in a child, whose descriptors are its own to lose; its result is the exit status.
template <class Body>
int InChild(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool IsOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(syscalls)

BOOST_AUTO_TEST_CASE(close_from) {
  struct Row {
    int first;
    std::vector<int> keep;
    std::vector<int> open;  // of 100 to 110
  };
  const Row rows[] = {
      {100, {}, {}},
      {100, {100}, {100}},
      {100, {110}, {110}},
      {100, {105, 101, 110}, {101, 105, 110}},
      {100, {101, 101, 102}, {101, 102}},
      {105, {}, {100, 101, 102, 103, 104}},
      {105, {101, 105}, {100, 101, 102, 103, 104, 105}},
      {100, {-1, 103, 5000}, {103}},
      {111, {}, {100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110}},
  };
  for (const Row& row : rows) {
    const int result = InChild([&row] {
      for (int fd = 100; fd <= 110; ++fd) {
        if (::dup2(1, fd) != fd) {
          return 1;
        }
      }
      if (!CloseFrom(row.first, row.keep)) {
        return 2;
      }
      for (int fd = 100; fd <= 110; ++fd) {
        if (IsOpen(fd) != (std::find(row.open.begin(), row.open.end(), fd) != row.open.end())) {
          return fd;
        }
      }
      return 0;
    });
    BOOST_TEST(result == 0);
  }
}

BOOST_AUTO_TEST_CASE(close_on_exec_from) {
  const int result = InChild([] {
    for (int fd = 100; fd <= 102; ++fd) {
      ::dup2(1, fd);
    }
    if (!CloseOnExecFrom(101)) {
      return 1;
    }
    const auto cloexec = [](int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; };
    return !cloexec(100) && cloexec(101) && cloexec(102) ? 0 : 2;
  });
  BOOST_TEST(result == 0);
}

BOOST_AUTO_TEST_CASE(everything_opened_is_close_on_exec) {
  const auto cloexec = [](const Fd& fd) { return (::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0; };
  const Fd opened = Open("/", O_RDONLY | O_DIRECTORY).value();
  BOOST_TEST(cloexec(opened));
  BOOST_TEST(cloexec(OpenAt2(opened.get(), "tmp", O_PATH, 0).value()));
  BOOST_TEST(cloexec(Duplicate(opened.get()).value()));
  BOOST_TEST(cloexec(PidfdOpen(::getpid()).value()));
  Fd one;
  Fd other;
  BOOST_REQUIRE(SocketPair(one, other).has_value());
  BOOST_TEST(cloexec(one));
  BOOST_TEST(cloexec(other));
}

BOOST_AUTO_TEST_CASE(errors_name_what_was_done) {
  BOOST_TEST(Open("/nonexistent/x", O_RDONLY).error().message == "open /nonexistent/x: no such file or directory");
  BOOST_TEST(PidfdOpen(-1).error().code == EINVAL);
  BOOST_TEST(FsOpen("no-such-filesystem").error().message.find("no-such-filesystem") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(link_texts_of_any_length) {
  char name[] = "/tmp/nucleus-test-links-XXXXXX";
  BOOST_REQUIRE(::mkdtemp(name) != nullptr);
  const std::string top = name;
  for (const std::size_t length : {1UL, 255UL, 1024UL, 4095UL}) {
    const std::string target(length, 't');
    const std::string link = top + "/" + std::to_string(length);
    BOOST_REQUIRE(::symlink(target.c_str(), link.c_str()) == 0);
    BOOST_TEST(ReadLinkAt(AT_FDCWD, link).value() == target);
  }
  BOOST_TEST(ReadLinkAt(AT_FDCWD, top).error().code == EINVAL);
  std::filesystem::remove_all(top);
}

// A socket's address has room for 107 bytes; callers' paths are longer (containerd's state directories).
BOOST_AUTO_TEST_CASE(sockets_at_long_paths) {
  char name[] = "/tmp/nucleus-test-sock-XXXXXX";
  BOOST_REQUIRE(::mkdtemp(name) != nullptr);
  const std::string top = name;
  const std::string deep = top + "/" + std::string(200, 'd');
  BOOST_REQUIRE(::mkdir(deep.c_str(), 0700) == 0);
  const Fd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/s", top.c_str());
  BOOST_REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  BOOST_REQUIRE(::listen(listener.get(), 5) == 0);
  BOOST_REQUIRE(::rename((top + "/s").c_str(), (deep + "/s").c_str()) == 0);
  const Result<Fd> connected = ConnectUnix(deep + "/s", SOCK_STREAM);
  BOOST_TEST(connected.has_value());
  BOOST_TEST(ConnectUnix(deep + "/missing", SOCK_STREAM).error().code == ENOENT);
  BOOST_TEST(ConnectUnix(top + "/missing", SOCK_STREAM).error().code == ENOENT);
  // The descriptor that is sent arrives, with the text.
  const Fd accepted{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  BOOST_REQUIRE(SendFd(connected->get(), 1, "payload", "x").has_value());
  char text[16];
  char control[CMSG_SPACE(sizeof(int))];
  iovec data{.iov_base = text, .iov_len = sizeof text};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  BOOST_TEST(::recvmsg(accepted.get(), &message, MSG_CMSG_CLOEXEC) == 7);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  BOOST_REQUIRE(header != nullptr);
  BOOST_TEST(header->cmsg_type == SCM_RIGHTS);
  int received = -1;
  std::memcpy(&received, CMSG_DATA(header), sizeof received);
  ::close(received);
  std::filesystem::remove_all(top);
}

BOOST_AUTO_TEST_CASE(processes_by_descriptor) {
  Fd pidfd;
  const Result<pid_t> child = Clone3({.flags = 0, .cgroup_fd = -1, .pidfd = &pidfd});
  BOOST_REQUIRE(child.has_value());
  if (*child == 0) {
    ::pause();
    ::_exit(0);
  }
  BOOST_TEST(!PidfdWait(pidfd.get(), 0).value());
  BOOST_TEST(PidfdSendSignal(pidfd.get(), SIGKILL).has_value());
  BOOST_TEST(PidfdWait(pidfd.get(), -1).value());
  BOOST_TEST(::waitpid(*child, nullptr, 0) == *child);
  BOOST_TEST(PidfdSendSignal(pidfd.get(), SIGKILL).error().code == ESRCH);
}

BOOST_AUTO_TEST_CASE(fault_stages_are_listed_once) {
  for (std::size_t i = 0; i < kFaultStages.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      BOOST_TEST(kFaultStages[i] != kFaultStages[j]);
    }
    // NUCLEUS_FAULT is not set here.
    BOOST_TEST(InjectedFault(kFaultStages[i]).has_value());
  }
}

BOOST_AUTO_TEST_CASE(all_are_closed_and_no_other) {
  std::vector<Fd> opened;
  for (int i = 0; i < 12; ++i) {
    opened.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  std::vector<Fd> closed;
  std::vector<int> numbers;
  for (const std::size_t i : {9UL, 1UL, 2UL, 3UL, 7UL}) {
    numbers.push_back(opened[i].get());
    closed.push_back(std::move(opened[i]));
  }
  closed.emplace_back();
  CloseAll(closed);
  BOOST_TEST(closed.empty());
  for (const int number : numbers) {
    BOOST_TEST(::fcntl(number, F_GETFD) < 0);
  }
  for (const Fd& other : opened) {
    BOOST_TEST((!other || ::fcntl(other.get(), F_GETFD) >= 0));
  }
  CloseAll(closed);
}

BOOST_AUTO_TEST_CASE(pointers) {
  const std::vector<std::string> strings = {"a", "", "b c"};
  const std::vector<char*> array = Pointers(strings);
  BOOST_REQUIRE(array.size() == 4U);
  BOOST_TEST(array[0] == std::string{"a"});
  BOOST_TEST(array[1] == std::string{});
  BOOST_TEST(array[2] == std::string{"b c"});
  BOOST_TEST((array[3] == nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::sys
