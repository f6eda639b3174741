#include "conformance/python_tests.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>

namespace nucleus::conformance {
namespace {

constexpr std::size_t kListLimit = std::size_t{16} << 20;  // bytes of `stream.py list`
constexpr int kReport = 3;                                 // the descriptor on which stream.py tells results

using Json = std::unique_ptr<yajl_val_s, decltype(&yajl_tree_free)>;

Json Parse(const std::string& line) {
  std::array<char, 256> error{};
  return {yajl_tree_parse(line.c_str(), error.data(), error.size()), &yajl_tree_free};
}

yajl_val Member(yajl_val object, const char* name) {
  std::array<const char*, 2> path{name, nullptr};
  return yajl_tree_get(object, path.data(), yajl_t_any);
}

std::string Text(yajl_val value) {
  const char* text = YAJL_GET_STRING(value);
  return text != nullptr ? text : "";
}

// Runs stream.py with `arguments` and its descriptor `as` on the pipe whose other end comes back.
Result<Fd> Spawn(const std::vector<std::string>& arguments, int as, int& pid) {
  std::vector<std::string> words{CONFORMANCE_PYTHON, "-B", CONFORMANCE_DIR "/stream.py"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  Fd read{ends[0]};
  Fd write{ends[1]};
  pid = ::fork();
  if (pid < 0) {
    return std::unexpected(SysError("fork", ""));
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // dup2 onto itself would leave it close-on-exec.
    if (write.get() == as ? ::fcntl(as, F_SETFD, 0) != 0 : ::dup2(write.get(), as) < 0) {
      ::_exit(127);
    }
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return read;
}

std::string Reap(int pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      return "was gone";
    }
  }
  return WIFSIGNALED(status) ? "was killed by signal " + std::to_string(WTERMSIG(status))
                             : "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

std::vector<std::string> Modules() {
  std::vector<std::string> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory{::opendir(CONFORMANCE_DIR), &::closedir};
  while (directory != nullptr) {
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      break;
    }
    const std::string_view name = entry->d_name;
    if (name.starts_with("test_") && name.ends_with(".py")) {
      found.emplace_back(name.substr(5, name.size() - 8));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::vector<TestName>> ListTests(const std::vector<std::string>& modules) {
  std::vector<std::string> arguments{"list"};
  arguments.insert(arguments.end(), modules.begin(), modules.end());
  int pid = -1;
  const Fd lines = TRY(Spawn(arguments, STDOUT_FILENO, pid));
  const std::string text = TRY(ReadAll(lines.get(), kListLimit, "stream.py list"));
  if (const std::string end = Reap(pid); end != "ended with status 0") {
    return std::unexpected(Failure("stream.py list " + end));
  }
  std::vector<TestName> tests;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t to = std::min(text.find('\n', from), text.size());
    const Json line = Parse(text.substr(from, to - from));
    if (line == nullptr) {
      return std::unexpected(Failure("stream.py list: " + text.substr(from, to - from)));
    }
    tests.push_back({Text(Member(line.get(), "module")), Text(Member(line.get(), "test"))});
    from = to + 1;
  }
  return tests;
}

ModuleRun::~ModuleRun() {
  lines_.Reset();
  if (pid_ >= 0 && ended_.empty()) {
    Reap(pid_);
  }
}

Result<> ModuleRun::Start(const std::string& module, const std::vector<std::string>& tests) {
  std::vector<std::string> arguments{"run", module};
  arguments.insert(arguments.end(), tests.begin(), tests.end());
  lines_ = TRY(Spawn(arguments, kReport, pid_));
  return {};
}

Outcome ModuleRun::Wait(const std::string& test) {
  for (;;) {
    if (const auto found = told_.find(test); found != told_.end()) {
      return found->second;
    }
    if (!ReadMore()) {
      return {.status = "fail", .reason = "no result: the process that runs the module's tests " + ended_};
    }
  }
}

// Takes what the process has told since; false when it has ended.
bool ModuleRun::ReadMore() {
  std::array<char, 65536> buffer{};
  const ssize_t count = ::read(lines_.get(), buffer.data(), buffer.size());
  if (count < 0 && errno == EINTR) {
    return true;
  }
  if (count <= 0) {
    if (ended_.empty()) {
      ended_ = Reap(pid_);
    }
    return false;
  }
  rest_.append(buffer.data(), static_cast<std::size_t>(count));
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
    const Json line = Parse(rest_.substr(0, end));
    Outcome outcome{.status = Text(Member(line.get(), "status")), .reason = Text(Member(line.get(), "reason"))};
    if (const yajl_val notes = Member(line.get(), "notes"); YAJL_IS_ARRAY(notes)) {
      for (std::size_t i = 0; i < notes->u.array.len; ++i) {
        outcome.notes.push_back(Text(notes->u.array.values[i]));
      }
    }
    told_[Text(Member(line.get(), "test"))] = std::move(outcome);
    rest_.erase(0, end + 1);
  }
  return true;
}

}  // namespace nucleus::conformance
