// argv → what is asked for. The flags are runc's; where crun has more and they do not clash, crun's too.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "runtime/container/container.h"

namespace nucleus::shim {

// The options before the command.
struct GlobalOptions {
  std::string root;                    // absolute
  bool default_rootless_root = false;  // `root` is the default below $XDG_RUNTIME_DIR
  std::string log;
  bool log_json = false;
  bool debug = false;
  container::CgroupManager cgroup_manager = container::CgroupManager::kCgroupfs;
};

struct CreateCommand {
  container::CreateOptions options;
};
struct RunCommand {
  container::CreateOptions options;
  bool detach = false;
  bool keep = false;
  bool subreaper = true;
};
struct StartCommand {
  std::string id;
};
struct StateCommand {
  std::string id;
};
// `id` is a POSIX extended regular expression over all ids where `regex` is set.
struct KillCommand {
  std::string id;
  bool regex = false;
  int signal = 0;
  bool all = false;
};
struct DeleteCommand {
  std::string id;
  bool regex = false;
  bool force = false;
};
struct ExecCommand {
  container::ExecOptions options;
};
struct ListCommand {
  bool json = false;
  bool quiet = false;
};
struct PsCommand {
  std::string id;
  bool json = false;
  std::vector<std::string> ps_arguments;
};
struct PauseCommand {
  std::string id;
};
struct ResumeCommand {
  std::string id;
};
struct UpdateCommand {
  std::string id;
  std::string resources_file;  // JSON; "-" is standard input
  oci::Resources resources;    // of the flags; they win over the file's
};
struct EventsCommand {
  std::string id;
  bool stats = false;  // once, then end
  int interval_ms = 0;
};
struct SpecCommand {
  std::string bundle;
  bool rootless = false;
};
struct FeaturesCommand {};
struct VersionCommand {};
struct HelpCommand {
  std::string text;
};

using Command = std::variant<CreateCommand, RunCommand, StartCommand, StateCommand, KillCommand, DeleteCommand,
                             ExecCommand, ListCommand, PsCommand, PauseCommand, ResumeCommand, UpdateCommand,
                             EventsCommand, SpecCommand, FeaturesCommand, VersionCommand, HelpCommand>;

struct CommandLine {
  GlobalOptions global;
  std::string name;  // of the command, for messages and for exec's exit status; may be set when `command` is an error
  Result<Command> command = std::unexpected(Error{});
};

// Makes no system call beyond getuid and getcwd. Usage errors are in the result's `command`.
CommandLine ParseCommandLine(int argc, const char* const* argv);

// Bytes with a unit: "64m", "1g", "4096", "-1" for none.
Result<std::int64_t> ParseSize(const std::string& text);
// "5s", "100ms", "1m30s": milliseconds.
Result<int> ParseDuration(const std::string& text);

// "KILL", "SIGKILL", "kill", "9", "RTMIN+3".
Result<int> ParseSignal(const std::string& text);

}  // namespace nucleus::shim
