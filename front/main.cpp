// nucleus-front: the front ends, which write bundles and call nucleus. It is nucleus that executes it:
//
//   nucleus-front NUMBER OPTION... COMMAND ARGUMENT...     NUMBER: how many words stand before the command

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <csignal>

#include "base/fd.h"
#include "front/commands/commands.h"
#include "front/compose/command.h"
#include "front/sandbox/options.h"
#include "front/sandbox/run.h"
#include "shim/cli/command_line.h"
#include "shim/cli/log.h"
#include "shim/cli/telemetry.h"

namespace {

using namespace nucleus;

Result<int> Sandbox(const front::Globals& globals, front::Words words) {
  const front::SandboxCommandLine line = TRY(front::ParseSandbox(std::move(words)));
  if (!line.help.empty()) {
    TRY(WriteAll(STDOUT_FILENO, line.help, "stdout"));
    return 0;
  }
  return front::RunSandbox(globals, line.options);
}

shim::GlobalOptions OptionsOf(const front::Words& words) {
  front::Words line = {"nucleus"};
  line.insert(line.end(), words.begin(), words.end());
  line.emplace_back("features");
  std::vector<const char*> argv;
  argv.reserve(line.size());
  for (const std::string& word : line) {
    argv.push_back(word.c_str());
  }
  return shim::ParseCommandLine(static_cast<int>(argv.size()), argv.data()).global;
}

// nucleus has read these words and found them good.
Result<front::Globals> ReadGlobals(front::Words words) {
  front::Globals globals{.words = std::move(words)};
  const shim::GlobalOptions options = OptionsOf(globals.words);
  globals.root = options.root;
  globals.default_root = globals.words.empty() || options.root == OptionsOf({}).root;
  globals.log = options.log;
  // Errors of this program go to the log of --log as well.
  TRY(shim::OpenLog(options));
  return globals;
}

Result<int> DayTwo(const front::Globals& globals, const std::string& name, front::Words words) {
  struct Run {
    const front::Globals& globals;
    Result<int> operator()(const front::LogsCommand& command) const {
      return front::RunLogs(globals, command);
    }
    Result<int> operator()(const front::StopCommand& command) const {
      return front::RunStop(globals, command);
    }
    Result<int> operator()(const front::StatsCommand& command) const {
      return front::RunStats(globals, command);
    }
    Result<int> operator()(const front::AttachCommand& command) const {
      return front::RunAttach(globals, command);
    }
    Result<int> operator()(const front::HealthCommand& command) const {
      return front::RunHealth(globals, command);
    }
    Result<int> operator()(const front::HelpText& help) const {
      TRY(WriteAll(STDOUT_FILENO, help.text, "stdout"));
      return 0;
    }
  };
  return std::visit(Run{globals}, TRY(front::ParseDayTwo(name, std::move(words))));
}

Result<int> Main(front::Words words) {
  std::size_t number = 0;
  const bool good = words.size() >= 2 &&
                    std::from_chars(words[0].data(), words[0].data() + words[0].size(), number).ec == std::errc{} &&
                    number < words.size() - 1;
  if (!good) {
    return std::unexpected(Failure("nucleus-front is for nucleus to call: nucleus sandbox --help", EINVAL));
  }
  const auto command = words.begin() + 1 + static_cast<std::ptrdiff_t>(number);
  const front::Globals globals = TRY(ReadGlobals(front::Words(words.begin() + 1, command)));
  if (*command == "sandbox") {
    return Sandbox(globals, front::Words(command + 1, words.end()));
  }
  if (front::IsDayTwoCommand(*command)) {
    return DayTwo(globals, *command, front::Words(command + 1, words.end()));
  }
  if (*command == "compose") {
    return front::compose::RunCompose(globals, front::Words(command + 1, words.end()));
  }
  return std::unexpected(Failure("unknown command \"" + *command + "\"", EINVAL));
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGCHLD, SIG_DFL);
  // The container's ids pass through what is made for them, whatever the caller's mask; the command has it too.
  constexpr mode_t kMask = 022;
  ::umask(kMask);
  const Result<int> status = Main(front::Words(argv + 1, argv + argc));
  if (!status) {
    shim::Log(shim::Level::kError, status.error().message);
  }
  const int exit_status = status.value_or(1);
  shim::telemetry::End(exit_status, status ? nullptr : &status.error());
  return exit_status;
}
