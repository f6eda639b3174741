#include "shim/gvisor/said.h"

#include <boost/test/unit_test.hpp>

#include "shim/gvisor/runsc.h"

namespace nucleus::gvisor {
namespace {

BOOST_AUTO_TEST_SUITE(said)

BOOST_AUTO_TEST_CASE(pids_are_numbers_above_zero) {
  BOOST_TEST((ParsePids("[1, 7,\n12]\n").value() == std::vector<pid_t>{1, 7, 12}));
  BOOST_TEST(ParsePids("[]").value().empty());
  BOOST_TEST(ParsePids("null\n").value().empty());
  for (const char* wrong : {"", "[", "]", "[0]", "[-1]", "[1,]x", "[a]", "[1 2]", "{}", "[99999999999]"}) {
    BOOST_TEST(!ParsePids(wrong).has_value(), wrong);
  }
  std::string many = "[1";
  for (std::size_t i = 0; i < kMostProcesses; ++i) {
    many += ",1";
  }
  BOOST_TEST(!ParsePids(many + "]").has_value());
}

BOOST_AUTO_TEST_CASE(a_pid_file_has_one_number) {
  BOOST_TEST(ParsePid("42\n").value() == 42);
  for (const char* wrong : {"", "0", "-4", "4 2", "42x", "x"}) {
    BOOST_TEST(!ParsePid(wrong).has_value(), wrong);
  }
}

BOOST_AUTO_TEST_CASE(processes_stand_in_the_columns_of_ps) {
  const std::string table =
      "UID       PID       PPID      C         TTY       STIME     TIME      CMD\n"
      "0         1         0         6         ?         15:10     60ms      sh\n"
      "1000      7         1         0         pts/0     15:11     0s        two words\n";
  BOOST_TEST(FormatProcesses(table, {1, 7}) ==
             "UID          PID    PPID  C STIME TTY          TIME CMD\n"
             "0              1       0  6 15:10 ?            60ms sh\n"
             "1000           7       1  0 15:11 pts/0          0s two words\n");
}

BOOST_AUTO_TEST_CASE(a_name_cannot_add_processes_or_drive_a_terminal) {
  const std::string table =
      "UID PID PPID C TTY STIME TIME CMD\n"
      "0 1 0 0 ? 15:10 0s a\x1b[2J\x7f\n"
      "0 9 0 0 ? 15:10 0s not there\n"
      "0 1 0 0 ? 15:10 0s a second time\n"
      "0 1\n";
  BOOST_TEST(FormatProcesses(table, {1}) ==
             "UID          PID    PPID  C STIME TTY          TIME CMD\n"
             "0              1       0  0 15:10 ?              0s a?[2J?\n");
  BOOST_TEST(FormatProcesses(std::string(1 << 20, 'x'), {1}).size() < 100U);
}

BOOST_AUTO_TEST_CASE(the_last_message_of_a_log) {
  BOOST_TEST(LastMessage("{\"msg\":\"one\"}\n{\"msg\":\"two\",\"level\":\"error\"}\n", "log") == "two");
  BOOST_TEST(LastMessage("panic: no JSON", "log").empty());
  BOOST_TEST(LastMessage("", "log").empty());
}

BOOST_AUTO_TEST_CASE(abilities) {
  const std::string flags =
      "flags:\n  -root string\n    \tdirectory\n  -network value\n  -ignore-cgroups\n  -log string\n  -platform "
      "string\n"
      "    \tspecifies which platform to use: ptrace, systrap (default), kvm. (default \"x\")\n";
  const Abilities found = ParseAbilities("runsc version release-20260301.0\nspec: 1.1.0\n", flags).value();
  BOOST_TEST(found.version == "release-20260301.0");
  BOOST_TEST(found.date == 20260301U);
  BOOST_TEST(!found.FiltersExec());
  BOOST_TEST(found.platforms.front() == "systrap");
  BOOST_TEST(found.platforms.size() == 3U);
  BOOST_TEST(found.Has("ignore-cgroups"));
  BOOST_TEST(!ParseAbilities("another program\n", flags).has_value());
  BOOST_TEST(!ParseAbilities("runsc version 1\n", "flags:\n  -root string\n").has_value());
  BOOST_TEST(OfVersion("no date").date == 0U);
  BOOST_TEST(OfVersion("release-20260401.0").FiltersExec());
}

BOOST_AUTO_TEST_CASE(a_program_that_is_not_there) {
  BOOST_TEST(InCallersWords("starting: error finding executable \"a b\" in PATH [/bin]: no such file or directory") ==
             "starting: exec: \"a b\": executable file not found in $PATH");
  BOOST_TEST(InCallersWords("error finding executable \"x\"") == "error finding executable \"x\"");
  BOOST_TEST(InCallersWords("in PATH [ of another kind") == "in PATH [ of another kind");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nucleus::gvisor
