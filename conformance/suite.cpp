// The black-box tests as a Boost.Test program: MODULE/Class/test_name, each a test case of its own.
//
//   RUNTIME=/usr/sbin/runc conformance_suite --run_test=mounts/Options --log_level=test_suite
//
// Environment: RUNTIME and PROBE as in harness.py; CONFORMANCE_MODULES, blank-separated, when only these are to be
// looked at (the others are not even loaded); NUCLEUS_RESULTS, a file to which stream.py adds each result as a line of
// JSON.
//
// The tests of a module run in one Python process, which starts when the first of them is due and runs those that
// --run_test has left. A test is run before Boost is told of it, because only then it is known whether it was skipped,
// and Boost knows skipping as a precondition that does not hold. So the times of --log_format=JUNIT are not those of
// the tests; report.py has them.

#define BOOST_TEST_NO_MAIN
#define BOOST_TEST_ALTERNATIVE_INIT_API
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <sstream>

#include "conformance/python_tests.h"

namespace nucleus::conformance {
namespace {

namespace bt = boost::unit_test;

// A module's suite: the tests in the order in which they run, and their process.
struct Module {
  std::vector<std::pair<bt::test_unit_id, std::string>> tests;
  ModuleRun run;
};

std::map<std::string, Module>& ModulesByName() {
  static std::map<std::string, Module> modules;
  return modules;
}

Outcome ResultOf(const TestName& name) {
  Module& module = ModulesByName().at(name.module);
  if (!module.run.started()) {
    std::vector<std::string> enabled;
    for (const auto& [id, test] : module.tests) {
      if (bt::framework::get(id, bt::TUT_CASE).is_enabled()) {
        enabled.push_back(test);
      }
    }
    if (const Result<> started = module.run.Start(name.module, enabled); !started) {
      return {.status = "fail", .reason = started.error().message};
    }
  }
  return module.run.Wait(name.test);
}

// What stands in the logs of ctest for whoever counts what did not run, on one line.
void TellSkip(const TestName& name, std::string reason) {
  for (char& c : reason) {
    c = c == '\n' ? ' ' : c;
  }
  std::printf("SKIP %s/%s: %s\n", name.module.c_str(), name.test.c_str(), reason.c_str());
  (void)std::fflush(stdout);
}

boost::test_tools::assertion_result NotSkipped(const TestName& name, bt::test_unit_id) {
  const Outcome outcome = ResultOf(name);
  for (const std::string& note : outcome.notes) {
    TellSkip(name, note);
  }
  boost::test_tools::assertion_result answer{outcome.status != "skip"};
  if (!answer) {
    TellSkip(name, outcome.reason);
    answer.message() << outcome.reason;
  }
  return answer;
}

void Check(const TestName& name) {
  const Outcome outcome = ResultOf(name);
  BOOST_CHECK_MESSAGE(outcome.status == "pass", outcome.reason);
}

bt::test_suite& Child(bt::test_suite& parent, const std::string& name) {
  if (const bt::test_unit_id id = parent.get(name); id != bt::INV_TEST_UNIT_ID) {
    return bt::framework::get<bt::test_suite>(id);
  }
  auto* suite = BOOST_TEST_SUITE(name);
  parent.add(suite);
  return *suite;
}

std::vector<std::string> WantedModules() {
  const char* listed = std::getenv("CONFORMANCE_MODULES");
  if (listed == nullptr) {
    return Modules();
  }
  std::istringstream words{listed};
  return {std::istream_iterator<std::string>{words}, {}};
}

bool Register() {
  const auto tests = ListTests(WantedModules());
  if (!tests) {
    (void)std::fprintf(stderr, "conformance_suite: %s\n", tests.error().message.c_str());
    return false;
  }
  bt::framework::master_test_suite().p_name.value = "conformance";
  for (const TestName& name : *tests) {
    const std::size_t slash = name.test.find('/');
    bt::test_suite& suite = Child(Child(bt::framework::master_test_suite(), name.module), name.test.substr(0, slash));
    bt::test_case* test = bt::make_test_case([name] { Check(name); }, name.test.substr(slash + 1), __FILE__, __LINE__);
    test->add_precondition([name](bt::test_unit_id id) { return NotSkipped(name, id); });
    suite.add(test);
    ModulesByName()[name.module].tests.emplace_back(test->p_id, name.test);
  }
  return true;
}

}  // namespace
}  // namespace nucleus::conformance

int main(int argc, char** argv) {
  // Boost would take the end of the Python process for an error of the test that is running.
  ::setenv("BOOST_TEST_CATCH_SYSTEM_ERRORS", "no", 0);
  return boost::unit_test::unit_test_main(&nucleus::conformance::Register, argc, argv);
}
