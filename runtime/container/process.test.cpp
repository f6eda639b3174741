// What stands between a config's `process` and execve.

#include "runtime/container/process.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/test_directory.h"

namespace nucleus::container {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

// A directory with programs, files and directories of given modes.
class Programs : public TestDirectory {
 public:
  Programs() {
    // Others must get in: the test may drop its privileges.
    BOOST_REQUIRE(::chmod(top.c_str(), 0755) == 0);
  }
  void Add(const std::string& path, mode_t mode) const {
    fs::create_directories(fs::path{top + "/" + path}.parent_path());
    std::ofstream{top + "/" + path} << "#!/bin/sh\n";
    BOOST_REQUIRE(::chmod((top + "/" + path).c_str(), mode) == 0);
  }
  [[nodiscard]] std::string operator/(const std::string& path) const {
    return top + "/" + path;
  }
};

std::string Found(const std::string& name, const Strings& env) {
  const Result<std::string> found = FindExecutable(name, env);
  return found ? *found : found.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(find_executable)

BOOST_AUTO_TEST_CASE(in_path) {
  const Programs programs;
  programs.Add("a/tool", 0755);
  programs.Add("b/tool", 0755);
  programs.Add("b/other", 0755);
  programs.Add("a/plain", 0644);
  programs.Add("b/plain", 0755);
  programs.Add("a/closed", 0644);
  fs::create_directories(programs / "a/directory");
  const std::string path = "PATH=" + programs / "missing" + ":" + programs / "a" + ":" + programs / "b";
  BOOST_TEST(Found("tool", {path}) == programs / "a/tool");
  BOOST_TEST(Found("other", {path}) == programs / "b/other");
  // What may not be executed is passed over.
  BOOST_TEST(Found("plain", {path}) == programs / "b/plain");
  BOOST_TEST(Found("closed", {path}) == R"(exec: "closed": permission denied)");
  const std::string missing = "executable file not found in $PATH";
  BOOST_TEST(Found("nothing", {path}) == "exec: \"nothing\": " + missing);
  BOOST_TEST(Found("directory", {path}) == "exec: \"directory\": " + missing);
  BOOST_TEST(Found("tool", {}) == "exec: \"tool\": " + missing);
  BOOST_TEST(Found("tool", {"PATH="}) == "exec: \"tool\": " + missing);
  BOOST_TEST(Found("tool", {"XPATH=" + programs / "a", "PATHX=" + programs / "a", "PATH"}) ==
             "exec: \"tool\": " + missing);
  BOOST_TEST(Found("", {path}) == "exec: \"\": " + missing);
  // The last one counts.
  BOOST_TEST(Found("tool", {"PATH=" + programs / "a", "PATH=" + programs / "b"}) == programs / "b/tool");
}

BOOST_AUTO_TEST_CASE(by_path) {
  const Programs programs;
  programs.Add("tool", 0755);
  programs.Add("plain", 0644);
  BOOST_TEST(Found(programs / "tool", {}) == programs / "tool");
  const std::string plain = programs / "plain";
  BOOST_TEST(Found(plain, {}) == "exec: \"" + plain + "\": permission denied");
  BOOST_TEST(Found(programs.top, {}) == "exec: \"" + programs.top + "\": is a directory");
  const std::string missing = programs / "missing";
  BOOST_TEST(Found(missing, {}) == "exec: \"" + missing + "\": stat " + missing + ": no such file or directory");
  BOOST_TEST(FindExecutable(missing, {}).error().code == ENOENT);
  BOOST_TEST(FindExecutable(plain, {}).error().code == EACCES);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(environment)

BOOST_AUTO_TEST_CASE(names_are_unique) {
  const auto unique = [](Strings env) {
    MakeUnique(env);
    return env;
  };
  BOOST_TEST(unique({"A=1", "B=2", "A=3"}) == (Strings{"A=3", "B=2"}), boost::test_tools::per_element());
  BOOST_TEST(unique({"A=1", "A=", "AB=2", "A=x=y"}) == (Strings{"A=x=y", "AB=2"}), boost::test_tools::per_element());
  // Without a '=' it is no variable; passed on as it came.
  BOOST_TEST(unique({"A", "A=1", "A"}) == (Strings{"A", "A=1", "A"}), boost::test_tools::per_element());
  BOOST_TEST(unique({"=x", "=y"}) == (Strings{"=y"}), boost::test_tools::per_element());
  BOOST_TEST(unique({}).empty());
}

BOOST_AUTO_TEST_CASE(home) {
  const auto with_home = [](Strings env, uid_t uid) {
    AddHome(env, uid);
    return env;
  };
  BOOST_TEST(with_home({"A=1", "HOME=/h", "B=2"}, 0) == (Strings{"A=1", "HOME=/h", "B=2"}),
             boost::test_tools::per_element());
  // root's, as the host's /etc/passwd of this test has it.
  BOOST_TEST(with_home({}, 0) == Strings{"HOME=/root"}, boost::test_tools::per_element());
  BOOST_TEST(with_home({}, 4294967294U) == Strings{"HOME=/"}, boost::test_tools::per_element());
  // An empty one is as none, and getenv must not find it first.
  BOOST_TEST(with_home({"HOME=", "A=1"}, 4294967294U) == (Strings{"A=1", "HOME=/"}), boost::test_tools::per_element());
  BOOST_TEST(with_home({"XHOME=/x", "HOMER=/y"}, 4294967294U).size() == 3U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(process_state)

BOOST_AUTO_TEST_CASE(signals_of_the_caller_do_not_reach_the_workload) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGTERM, SIG_IGN);
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ResetSignals();
    sigset_t now;
    ::sigprocmask(SIG_SETMASK, nullptr, &now);
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction action{};
      if (::sigismember(&now, signal) == 1) {
        ::_exit(1);
      }
      if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_DFL) {
        ::_exit(2);
      }
    }
    ::_exit(0);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(working_directory) {
  char buffer[4096];
  const std::string before = ::getcwd(buffer, sizeof buffer);
  BOOST_TEST(EnterWorkingDirectory("/tmp").has_value());
  const Result<> missing = EnterWorkingDirectory("/nonexistent/x");
  BOOST_REQUIRE(!missing.has_value());
  BOOST_TEST(missing.error().message ==
             "chdir to cwd (\"/nonexistent/x\") set in config.json failed: no such file or directory");
  BOOST_TEST(missing.error().code == ENOENT);
  // A place without a path.
  char name[] = "/tmp/nucleus-test-cwd-XXXXXX";
  BOOST_REQUIRE(::mkdtemp(name) != nullptr);
  BOOST_REQUIRE(::chdir(name) == 0);
  BOOST_REQUIRE(::rmdir(name) == 0);
  const Result<> gone = EnterWorkingDirectory(".");
  BOOST_REQUIRE(!gone.has_value());
  BOOST_TEST(gone.error().message == "current working directory is outside of container mount namespace root");
  BOOST_REQUIRE(::chdir(before.c_str()) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::container
