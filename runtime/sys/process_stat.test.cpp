// /proc/PID/stat, with whatever a process calls itself.

#include "runtime/sys/process_stat.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

namespace nucleus::sys {
namespace {

std::string Line(const std::string& name, const std::string& state, const std::string& start) {
  return "1234 (" + name + ") " + state + " 1 1234 1234 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 " + start +
         " 4096 1 18446744073709551615 1 1 0 0 0\n";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(process_stat)

BOOST_AUTO_TEST_CASE(odd_command_names) {
  for (const char* name :
       {"init", "", " ", "a b c", ")", "(", ") R 1 2 3", "((x))", "a) Z (b", "\n", "\\", "S 1 1 1 1"}) {
    const Result<ProcessStat> stat = ParseProcessStat(Line(name, "S", "98765"));
    BOOST_TEST_CONTEXT("the name " << name) {
      BOOST_REQUIRE(stat.has_value());
      BOOST_TEST(stat->state == 'S');
      BOOST_TEST(stat->start_time == 98765U);
      BOOST_TEST(!stat->dead());
    }
  }
}

BOOST_AUTO_TEST_CASE(states) {
  for (const char* state : {"R", "S", "D", "T", "t", "I"}) {
    BOOST_TEST(!ParseProcessStat(Line("x", state, "1")).value().dead());
  }
  for (const char* state : {"Z", "X", "x"}) {
    BOOST_TEST(ParseProcessStat(Line("x", state, "1")).value().dead());
  }
}

BOOST_AUTO_TEST_CASE(start_times) {
  BOOST_TEST(ParseProcessStat(Line("x", "S", "0")).value().start_time == 0U);
  BOOST_TEST(ParseProcessStat(Line("x", "S", "18446744073709551615")).value().start_time == UINT64_MAX);
  BOOST_TEST(!ParseProcessStat(Line("x", "S", "18446744073709551616")).has_value());
  BOOST_TEST(!ParseProcessStat(Line("x", "S", "-1")).has_value());
  BOOST_TEST(!ParseProcessStat(Line("x", "S", "x")).has_value());
}

BOOST_AUTO_TEST_CASE(malformed) {
  const std::string whole = Line("x", "S", "5");
  const std::size_t end = whole.find(" 5 4096");
  for (std::size_t length = 0; length <= end + 1; ++length) {
    BOOST_TEST(!ParseProcessStat(whole.substr(0, length)).has_value());
  }
  for (const char* text : {"", ")", "x)", "x) ", "x) S", "x) S ", "no parenthesis 1 2 3"}) {
    const Result<ProcessStat> stat = ParseProcessStat(text);
    BOOST_REQUIRE(!stat.has_value());
    BOOST_TEST(stat.error().message == "malformed process status");
  }
}

BOOST_AUTO_TEST_CASE(of_this_process) {
  char name[] = "a) Z (b";
  ::prctl(PR_SET_NAME, name);
  const Result<ProcessStat> self = ReadProcessStat(::getpid());
  ::prctl(PR_SET_NAME, "test");
  BOOST_REQUIRE(self.has_value());
  BOOST_TEST(!self->dead());
  BOOST_TEST(self->start_time > 0U);
  BOOST_TEST(ReadProcessStat(::getpid()).value().start_time == self->start_time);
}

BOOST_AUTO_TEST_CASE(of_a_dead_one) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(0);
  }
  siginfo_t info{};
  BOOST_REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  BOOST_TEST(ReadProcessStat(child).value().dead());
  BOOST_REQUIRE(::waitpid(child, nullptr, 0) == child);
  const Result<ProcessStat> gone = ReadProcessStat(child);
  BOOST_REQUIRE(!gone.has_value());
  BOOST_TEST((gone.error().code == ENOENT || gone.error().code == ESRCH));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::sys
