// What the two processes of the gate can do when their program is no longer their own: each thing is tried from inside.
#include "runtime/egress/gate/confine.h"

#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "runtime/egress/gate/test_world.h"

namespace nucleus::gate {
namespace {

constexpr int kAllowed = 0;
constexpr int kKilled = SIGSYS;
constexpr int kDenied = -1;  // by an errno

int How(int status) {
  if (WIFSIGNALED(status)) {
    return WTERMSIG(status);
  }
  return WEXITSTATUS(status) == 0 ? kAllowed : kDenied;
}

// Root there is who calls; nobody else is mapped.
bool EnterUserNamespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) {
    return false;
  }
  std::ofstream{"/proc/self/setgroups"} << "deny";
  std::ofstream{"/proc/self/uid_map"} << "0 " << uid << " 1";
  std::ofstream{"/proc/self/gid_map"} << "0 " << gid << " 1";
  return ::geteuid() == 0;
}

// In a fork with the parser's descriptors, confined: `body` says whether it got what it wanted.
int AsParser(const Fd& ns, const std::function<bool()>& body, bool in_user_namespace = false) {
  test::Process process{
      ns, [&]() -> int {
        test::Must(sys::CloseFrom(3, {}));
        const int udp = ::socket(AF_INET, SOCK_DGRAM, 0);
        const int tcp = ::socket(AF_INET, SOCK_STREAM, 0);
        const sockaddr_in any = test::Port53("127.0.0.53");
        if (udp != kUdpFd || tcp != kTcpFd || ::bind(udp, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
            ::bind(tcp, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 || ::listen(tcp, 1) != 0) {
          return 4;
        }
        std::array<int, 2> pair{};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair.data()) != 0) {  // 5, 6
          return 5;
        }
        for (int fd = kReportFd; fd < kFirstFree; ++fd) {
          if (::dup2(0, fd) != fd) {
            return 6;
          }
        }
        const int server = ::socket(AF_INET, SOCK_DGRAM, 0);
        if (server != kFirstFree || ::connect(server, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
          return 7;
        }
        if (in_user_namespace && !EnterUserNamespace()) {
          return 3;
        }
        if (!ConfineParser()) {
          return 8;
        }
        return body() ? 0 : 1;
      }};
  return How(process.Wait());
}

int AsSetter(const Fd& ns, const std::function<bool()>& body) {
  test::Process process{ns, [&]() -> int {
                          if (!ConfineSetter()) {
                            return 8;
                          }
                          return body() ? 0 : 1;
                        }};
  return How(process.Wait());
}

bool ConnectTo(int type, std::uint16_t port) {
  const int socket = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in to = test::Port53("127.0.0.1");
  to.sin_port = htons(port);
  return socket >= 0 && (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ||
                         errno == EINPROGRESS || errno == ECONNREFUSED);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gate_confinement)

BOOST_AUTO_TEST_CASE(the_parser) {
  if (test::Unable()) {
    BOOST_TEST_MESSAGE("skipped: only root can set it up");
    return;
  }
  const Fd ns = test::NewNamespace();
  const sockaddr_in elsewhere = test::Port53("127.0.0.99");
  const auto* to = reinterpret_cast<const sockaddr*>(&elsewhere);
  const auto parser = [&](const std::function<bool()>& body) { return AsParser(ns, body); };
  BOOST_TEST(parser([] { return true; }) == kAllowed);
  // Clients anywhere in their namespace; the servers alone outside.
  BOOST_TEST(parser([&] { return ::sendto(kUdpFd, "x", 1, 0, to, sizeof elsewhere) == 1; }) == kAllowed);
  BOOST_TEST(parser([&] { return ::sendto(kFirstFree, "x", 1, 0, nullptr, 0) == 1; }) == kAllowed);
  BOOST_TEST(parser([&] { return ::sendto(kFirstFree, "x", 1, 0, to, sizeof elsewhere) == 1; }) == kKilled);
  // The number of the one for clients, with something in the upper half.
  BOOST_TEST(parser([&] {
               return ::syscall(SYS_sendto, 0x100000000L | kUdpFd, "x", 1L, 0L, to, sizeof elsewhere) == 1;
             }) == kKilled);
  for (const int fd : {kUdpFd, kTcpFd, kSetterFd, kLifeFd, kReportFd, kFirstFree - 1}) {
    BOOST_TEST(parser([&] { return ::close(fd) == 0; }) == kKilled, fd);
    BOOST_TEST(parser([&] { return ::syscall(SYS_close, 0x100000000L | fd) == 0; }) == kKilled, fd);
    BOOST_TEST(parser([&] { return ::dup2(kFirstFree, fd) == fd; }) == kKilled, fd);
  }
  BOOST_TEST(parser([] { return ::close(kFirstFree) == 0; }) == kAllowed);
  BOOST_TEST(parser([] { return ::accept4(kFirstFree, nullptr, nullptr, 0) >= 0; }) == kKilled);
  BOOST_TEST(parser([] {
               msghdr message{};
               return ::recvmsg(kFirstFree, &message, MSG_DONTWAIT) >= 0;
             }) == kKilled);
  const std::vector<std::pair<const char*, std::function<bool()>>> never = {
      {"socket", [] { return ::socket(AF_INET, SOCK_DGRAM, 0) >= 0; }},
      {"connect", [&] { return ::connect(kFirstFree, to, sizeof elsewhere) == 0; }},
      {"bind", [&] { return ::bind(kFirstFree, to, sizeof elsewhere) == 0; }},
      {"sendmsg",
       [] {
         msghdr message{};
         return ::sendmsg(kUdpFd, &message, 0) >= 0;
       }},
      {"sendmmsg", [] { return ::sendmmsg(kUdpFd, nullptr, 0, 0) >= 0; }},
      {"setsockopt",
       [] {
         const int mark = 1;
         return ::setsockopt(kUdpFd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0;
       }},
      {"open", [] { return ::open("/dev/null", O_RDONLY) >= 0; }},
      {"execve", [] { return ::syscall(SYS_execve, "/bin/true", nullptr, nullptr) == 0; }},
      {"fork", [] { return ::fork() > 0; }},
      {"kill", [] { return ::kill(1, 0) == 0; }},
      {"ptrace", [] { return ::ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; }},
      {"dup", [] { return ::dup(kUdpFd) >= 0; }},
      {"fcntl", [] { return ::fcntl(kUdpFd, F_DUPFD, 20) >= 0; }},
      {"write", [] { return ::write(kFirstFree, "x", 1) == 1; }},
      {"unshare", [] { return ::unshare(CLONE_NEWUSER) == 0; }},
      {"mmap",
       [] { return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }},
  };
  for (const auto& [name, body] : never) {
    BOOST_TEST(parser(body) == kKilled, name);
  }
  // Newer than what the filter names: the kernel says that there is no such call.
  const std::vector<std::pair<const char*, std::function<bool()>>> newer = {
      {"openat2", [] { return ::syscall(SYS_openat2, -1, nullptr, nullptr, 0) >= 0; }},
      {"io_uring_setup", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr) >= 0; }},
      {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0) >= 0; }},
  };
  for (const auto& [name, body] : newer) {
    BOOST_TEST(parser(body) == kDenied, name);
  }
}

BOOST_AUTO_TEST_CASE(the_parser_in_a_user_namespace) {
  if (test::Unable()) {
    BOOST_TEST_MESSAGE("skipped: only root can set it up");
    return;
  }
  // Nobody is not mapped there: it stays who it is, without capabilities. (Read by the status that is left to its
  // parent.)
  const Fd ns = test::NewNamespace();
  BOOST_TEST(AsParser(ns, [] { return true; }, true) == kAllowed);
  BOOST_TEST(AsParser(ns, [] { return ::socket(AF_INET, SOCK_DGRAM, 0) >= 0; }, true) == kKilled);
}

BOOST_AUTO_TEST_CASE(the_setter) {
  if (test::Unable()) {
    BOOST_TEST_MESSAGE("skipped: only root can set it up");
    return;
  }
  const Fd ns = test::NewNamespace();
  const auto setter = [&](const std::function<bool()>& body) { return AsSetter(ns, body); };
  BOOST_TEST(setter([] { return ConnectTo(SOCK_DGRAM, 53) && ConnectTo(SOCK_STREAM, 53); }) == kAllowed);
  const int landlock = static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1));
  if (landlock >= 4) {
    BOOST_TEST(setter([] { return ConnectTo(SOCK_STREAM, 80); }) == kDenied);
  } else {
    BOOST_TEST_MESSAGE("skipped: this kernel's Landlock knows no TCP");
  }
  const std::vector<std::pair<const char*, std::function<bool()>>> never = {
      {"netlink", [] { return ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) >= 0; }},
      {"raw", [] { return ::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0; }},
      {"packet", [] { return ::socket(AF_PACKET, SOCK_RAW, 0) >= 0; }},
      {"unix", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }},
      {"open", [] { return ::open("/dev/null", O_RDONLY) >= 0; }},
      {"execve", [] { return ::syscall(SYS_execve, "/bin/true", nullptr, nullptr) == 0; }},
      {"setns", [] { return ::setns(0, 0) == 0; }},
      {"kill", [] { return ::kill(1, 0) == 0; }},
      {"ioctl", [] { return ::syscall(SYS_ioctl, 0, 0, 0) == 0; }},
  };
  for (const auto& [name, body] : never) {
    BOOST_TEST(setter(body) == kKilled, name);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
