// argv → what is asked for. The flags are runc's; where crun has more and they do not clash, crun's too.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "runtime/container/checkpoint.h"
#include "runtime/container/container.h"

namespace nucleus::shim {

// The options before the command.
struct GlobalOptions {
  std::string root;                    // absolute
  bool default_rootless_root = false;  // `root` is the default below $XDG_RUNTIME_DIR
  std::string log;
  bool log_json = false;
  bool debug = false;
  std::string events;  // file or fd:N that events are written to; empty: nowhere
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
  oci::IntelRdt rdt;           // the two schemas
};
// `events verify FILE`.
struct VerifyEventsCommand {
  std::string file;
  std::string head;  // 64 digits of a line that must be there; empty: any
  bool json = false;
};
struct EventsCommand {
  std::string id;
  bool stats = false;  // once, then end
  int interval_ms = 0;
};
struct CheckpointCommand {
  std::string id;
  container::CriuOptions criu;
};
struct RestoreCommand {
  container::CreateOptions options;
  container::CriuOptions criu;
  bool detach = false;
  bool subreaper = true;
};
struct SpecCommand {
  std::string bundle;
  bool rootless = false;
};
struct PolicyCommand {
  bool verify = false;             // else pin
  std::vector<std::string> paths;  // the files to pin, or the one bundle
};
struct SeccompCommand {
  std::vector<std::string> traces;
  std::string output;  // path; empty: the standard output
};
struct LearnCommand {
  std::string id;
  std::string bundle = ".";
  std::string directory = ".";  // for what is proposed
};
struct FeaturesCommand {};
struct AttestCommand {
  bool verify = false;  // else create
  std::string directory;
  std::string manifest;  // path: of create's output ("" is the standard output), of verify's input
  std::string digest;    // of verify: the pin's 64 digits; "" for none
  std::string closure;   // path of a list: what is mounted in the tree; "" for nothing
  bool store = false;    // of create: as a content store has it
};
struct ExplainCommand {
  container::CreateOptions options;
  bool json = false;
};
struct DoctorCommand {
  bool json = false;
};
struct EgressCommand {
  std::string id;
  bool json = false;
  bool follow = false;
  std::string policy;  // the new one's pin; empty: look only
};
// One of nucleus-front's (front.h).
struct FrontCommand {
  int options = 0;  // how many words stand before it
};
struct VersionCommand {};
struct HelpCommand {
  std::string text;
};

using Command = std::variant<CreateCommand, RunCommand, StartCommand, StateCommand, KillCommand, DeleteCommand,
                             ExecCommand, ListCommand, PsCommand, PauseCommand, ResumeCommand, UpdateCommand,
                             EventsCommand, VerifyEventsCommand, CheckpointCommand, RestoreCommand, SpecCommand,
                             PolicyCommand, SeccompCommand, LearnCommand, FeaturesCommand, AttestCommand,
                             ExplainCommand, DoctorCommand, EgressCommand, FrontCommand, VersionCommand, HelpCommand>;

struct CommandLine {
  GlobalOptions global;
  std::string name;  // of the command, for messages and for exec's exit status; may be set when `command` is an error
  Result<Command> command = std::unexpected(Error{});
  std::string hint;  // where `command` is an error: what may have been meant, in the user's words; empty: nothing near
};

// Makes no system call beyond those that find the state root: who this is, and where. Usage errors are in the result's
// `command`.
CommandLine ParseCommandLine(int argc, const char* const* argv);

// Bytes with a unit: "64m", "1g", "4096", "-1" for none.
Result<std::int64_t> ParseSize(const std::string& text);
// "5s", "100ms", "1m30s": milliseconds.
Result<int> ParseDuration(const std::string& text);

// "KILL", "SIGKILL", "kill", "9", "RTMIN+3".
Result<int> ParseSignal(const std::string& text);
// "KILL" and so on; not the real-time signals.
std::vector<std::string_view> SignalNames();

}  // namespace nucleus::shim
