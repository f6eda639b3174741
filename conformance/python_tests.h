// The Python tests seen from C++: what there is, and a process per module that runs them and tells each result as it
// comes. The protocol is that of stream.py.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::conformance {

struct TestName {
  std::string module;  // SUBJECT of test_SUBJECT.py
  std::string test;    // "Class/test_name"
};

struct Outcome {
  std::string status;              // "pass", "fail" or "skip"
  std::string reason;              // why it failed (a traceback) or was skipped
  std::vector<std::string> notes;  // subtests that were skipped, each with its reason
};

// The SUBJECT of each test_SUBJECT.py in the tests' directory, sorted.
std::vector<std::string> Modules();

// All tests of `modules`, in the order in which they run. A module that cannot be loaded has one test, which fails.
Result<std::vector<TestName>> ListTests(const std::vector<std::string>& modules);

// One run of some of a module's tests, all in one Python process, which is started by Start and reaped by the
// destructor.
class ModuleRun {
 public:
  ModuleRun() = default;
  ModuleRun(const ModuleRun&) = delete;
  ModuleRun& operator=(const ModuleRun&) = delete;
  ~ModuleRun();

  // `tests` as TestName::test, in the order in which their results will be asked for.
  Result<> Start(const std::string& module, const std::vector<std::string>& tests);
  [[nodiscard]] bool started() const {
    return pid_ >= 0;
  }

  // Waits for this test's result. A process that died without telling it is a failure of the test.
  Outcome Wait(const std::string& test);

 private:
  bool ReadMore();

  int pid_ = -1;
  Fd lines_;
  std::string rest_;  // what has come of the next line
  std::map<std::string, Outcome> told_;
  std::string ended_;  // how the process ended, once its lines have
};

}  // namespace nucleus::conformance
