#include "runtime/sys/own_program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <csignal>

#include "base/fd.h"

using namespace nucleus;

namespace {

// What a shell that is started with these says, and its status.
std::pair<std::string, int> Say(const std::string& script, sys::OwnProgram more = {}) {
  int ends[2];
  BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const Fd read{ends[0]};
  Fd write{ends[1]};
  const Result<Fd> shell = sys::OpenOwnProgram("/bin/sh");
  BOOST_REQUIRE(shell);
  more.file = shell->get();
  more.words = {"sh", "-c", script};
  more.descriptors.emplace_back(write.get(), STDOUT_FILENO);
  const Result<sys::OwnProcess> process = sys::StartOwnProgram(std::move(more));
  BOOST_REQUIRE(process);
  write.Reset();
  std::string said = *ReadAll(read.get(), 1 << 20, "pipe");
  int status = 0;
  BOOST_REQUIRE(::waitpid(process->pid, &status, 0) == process->pid);
  return {said, WEXITSTATUS(status)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(own_program)

BOOST_AUTO_TEST_CASE(it_gets_what_it_is_given_and_nothing_else) {
  const Fd held{::open("/", O_RDONLY)};  // without FD_CLOEXEC
  BOOST_REQUIRE(::setenv("NUCLEUS_TEST_SECRET", "x", 1) == 0);
  const auto [said, status] =
      Say("echo $NAME-$NUCLEUS_TEST_SECRET; ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0 /proc/self/fd/2; "
          "exit 7",
          {.environment = {"NAME=value"}});
  BOOST_TEST(status == 7);
  // ls has the directory open.
  BOOST_TEST(said == "value-\n0 1 2 3 /dev/null\n/dev/null\n");
}

BOOST_AUTO_TEST_CASE(descriptors) {
  const Result<Fd> input = sys::InMemory("from memory\n", "test");
  const Result<Fd> other = sys::InMemory("the other\n", "test");
  BOOST_REQUIRE((input && other));
  // Numbers that are another's here.
  const auto [said, status] =
      Say("cat; cat <&3; cat <&4", {.descriptors = {{input->get(), 0}, {other->get(), 3}, {other->get(), 4}}});
  BOOST_TEST(said == "from memory\nthe other\n");
}

BOOST_AUTO_TEST_CASE(sessions) {
  BOOST_TEST(Say("ps -o sid= -p $$ | tr -d ' '").first == std::to_string(::getsid(0)) + "\n");
  BOOST_TEST(Say("test $(ps -o sid= -p $$) = $$ && echo own", {.session = true}).first == "own\n");
}

BOOST_AUTO_TEST_CASE(signals_are_as_a_program_expects_them) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const std::string said = Say("grep SigBlk /proc/self/status").first;
  sigset_t after;
  ::sigprocmask(SIG_SETMASK, &before, &after);
  BOOST_TEST(said == "SigBlk:\t0000000000000000\n");
  BOOST_TEST(::sigismember(&after, SIGUSR1) == 1);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_executed_is_an_error) {
  const Result<Fd> file = sys::OpenOwnProgram("/etc/passwd");
  BOOST_REQUIRE(file);
  const Result<sys::OwnProcess> process = sys::StartOwnProgram({.file = file->get(), .words = {"passwd"}});
  BOOST_REQUIRE(!process);
  BOOST_TEST(process.error().message == "execute passwd: permission denied");
  BOOST_TEST((::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD));
}

BOOST_AUTO_TEST_CASE(whose_programs) {
  BOOST_TEST(sys::OpenOwnProgram("/no/such").error().code == ENOENT);
  BOOST_TEST(sys::OpenOwnProgram("/dev/null").error().code == EPERM);
}

BOOST_AUTO_TEST_SUITE_END()
