#include "runtime/container/lifecycle.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::container {
namespace {

constexpr Status kAll[] = {Status::kCreating, Status::kCreated, Status::kRunning, Status::kPaused, Status::kStopped};

// The states, as letters, in which the command is accepted.
std::string Accepted(Command command) {
  std::string found;
  for (const Status status : kAll) {
    if (MayBeSaid(command, status, "box")) {
      found += std::string{StatusName(status)} + " ";
    }
  }
  return found;
}

oci::State At(oci::Phase phase, int pid) {
  oci::State state;
  state.phase = phase;
  state.pid = pid;
  return state;
}

BOOST_AUTO_TEST_SUITE(Lifecycle)

BOOST_AUTO_TEST_CASE(each_command_has_its_states) {
  BOOST_TEST(Accepted(Command::kStart) == "created ");
  BOOST_TEST(Accepted(Command::kDelete) == "created stopped ");
  BOOST_TEST(Accepted(Command::kPause) == "created running ");
  BOOST_TEST(Accepted(Command::kResume) == "paused ");
  BOOST_TEST(Accepted(Command::kExec) == "created running ");
  BOOST_TEST(Accepted(Command::kExecIgnoringPause) == "created running paused ");
  BOOST_TEST(Accepted(Command::kUpdate) == "created running paused ");
  BOOST_TEST(Accepted(Command::kCheckpoint) == "running paused ");
}

BOOST_AUTO_TEST_CASE(words_that_callers_look_for) {
  BOOST_TEST(MayBeSaid(Command::kDelete, Status::kRunning, "box").error().message ==
             "cannot delete container box that is not stopped: running");
  BOOST_TEST(MayBeSaid(Command::kPause, Status::kStopped, "box").error().message == "container not running");
  BOOST_TEST(MayBeSaid(Command::kPause, Status::kPaused, "box").error().message == "container paused");
  BOOST_TEST(MayBeSaid(Command::kResume, Status::kRunning, "box").error().message == "container not paused");
}

BOOST_AUTO_TEST_CASE(the_status_is_that_of_the_process) {
  using oci::Phase;
  BOOST_TEST(StatusName(Judge(At(Phase::kCreating, 0), false, false)) == "creating");
  BOOST_TEST(StatusName(Judge(At(Phase::kCreating, 5), true, true)) == "creating");
  BOOST_TEST(StatusName(Judge(At(Phase::kCreating, 5), false, false)) == "stopped");  // create was killed
  BOOST_TEST(StatusName(Judge(At(Phase::kCreated, 5), true, false)) == "created");
  BOOST_TEST(StatusName(Judge(At(Phase::kRunning, 5), true, false)) == "running");
  BOOST_TEST(StatusName(Judge(At(Phase::kRunning, 5), true, true)) == "paused");
  BOOST_TEST(StatusName(Judge(At(Phase::kRunning, 5), false, true)) == "stopped");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nucleus::container
