// What `nucleus sandbox` is asked for: by its command line and by the file of --config, which has the same names.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "front/service/service.h"

namespace nucleus::front {

// A directory or file of the host and its place inside.
struct Volume {
  std::string source;       // absolute
  std::string destination;  // absolute; of --mount-config relative to the home
  bool writable = false;
};

// `source` is a path of the host or, with `fd` >= 0, a descriptor that the caller passes.
struct Secret {
  std::string source;
  int fd = -1;
  std::string destination;  // absolute inside
};

enum class WorkspaceMode { kReadWrite, kReadOnly, kCopy };

struct SandboxOptions {
  std::vector<std::string> command;
  std::string name;             // the container's id; empty: one is made up
  std::string rootfs;           // absolute; empty: the host's toolchain
  bool overlay_rootfs = false;  // else it is copied into memory
  std::string workspace;        // absolute; empty: none
  WorkspaceMode workspace_mode = WorkspaceMode::kReadWrite;
  bool workspace_exec = false;  // what is writable may be executed
  std::vector<Volume> volumes;
  std::vector<Volume> config_mounts;
  std::vector<std::string> environment;  // NAME=VALUE
  std::vector<Secret> secrets;
  std::optional<std::int64_t> memory;  // bytes
  std::optional<double> cpus;
  std::optional<std::int64_t> pids;
  int timeout_ms = 0;              // 0: none
  std::vector<std::string> allow;  // as given; front/sandbox/egress.h reads them
  std::vector<std::string> deny;   // addresses and networks, of services alone
  std::vector<std::string> dns;
  std::string broker;
  std::vector<std::string> publish;
  std::string network;  // "none", "bridge", "userspace"; empty: as is needed
  std::string runtime = "native";
  std::optional<std::pair<std::uint32_t, std::uint32_t>> user;
  std::vector<std::string> gpus;      // CDI names, VENDOR/CLASS=DEVICE
  std::vector<std::string> cdi_dirs;  // empty: the usual ones
  std::string seccomp_policy;         // absolute paths of policies; empty: what the mode has
  std::string landlock_policy;
  std::string egress_policy;
  std::string hostname = "sandbox";
  std::string cwd;
  bool no_terminal = false;
  bool detach = false;
  bool terminal = false;     // with --detach, where the caller's streams say nothing
  bool interactive = false;  // with --detach: its input stays open
  HealthOptions health;
  std::string health_command;  // as given
  int stop_signal = 0;         // 0: SIGTERM
  int stop_timeout_ms = 10000;
  Restart restart = Restart::kNo;
  int most_restarts = 0;
  LogLimits log;
  std::string learn;         // directory for proposals; empty: nothing is learned
  std::string print_bundle;  // directory; empty: it is run
};

// The kinds of values: a config file has true, a string, an integer, an array of strings.
enum class OptionKind { kFlag, kText, kInteger, kList };

// One option, by the name that the command line (--NAME) and the config file share.
struct OptionRow {
  const char* name;
  OptionKind kind;
  const char* value;  // of the help: "SRC:DEST"
  const char* help;
  // Takes one value; the error says what is wrong with it and nothing else.
  Result<> (*apply)(SandboxOptions& options, const std::string& value);
};

const std::vector<OptionRow>& SandboxRows();

// Words of the command line after "sandbox". The help's text in place of options where that is asked for.
struct SandboxCommandLine {
  SandboxOptions options;
  std::string help;
};
Result<SandboxCommandLine> ParseSandbox(std::vector<std::string> words);

// An absolute path of what a relative one means now.
Result<std::string> AbsolutePath(const std::string& path);

}  // namespace nucleus::front
