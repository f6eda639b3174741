#include "shim/cli/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>

namespace nucleus::shim {
namespace {

using Words = std::vector<std::string>;

std::unexpected<Error> Usage(std::string message) {
  return std::unexpected(Failure(std::move(message), EINVAL));
}

// "--help" was given: not an error, and not a command either.
struct HelpAsked {
  std::string text;
};
using Parsed = std::variant<std::monostate, HelpAsked>;

// Where a command's options may stand: as with runc, after its arguments too, unless these are a command line of their
// own.
enum class OptionsStand { kInFront, kAnywhere };

// Callers of runc write "-b=DIR" and "-bundle DIR" too; CLI11 knows "-b DIR" and "--bundle DIR". With kInFront only the
// words before the first argument that is no option are touched; with kAnywhere the options are brought to the front.
Words Normalize(const CLI::App& app, Words words, OptionsStand stand) {
  Words result;
  Words arguments;
  bool options = true;
  bool value_follows = false;
  for (std::string& word : words) {
    if (value_follows) {
      value_follows = false;
      result.push_back(std::move(word));
      continue;
    }
    if (!options || word.size() < 2 || word[0] != '-' || word == "--") {
      const bool dashes = options && word == "--";
      options = options && !dashes && stand == OptionsStand::kAnywhere;
      if (!dashes) {
        arguments.push_back(std::move(word));
      }
      continue;
    }
    const std::size_t equals = word.find('=');
    std::string name = word.substr(0, equals);
    const bool single = name[1] != '-';
    if (single && name.size() > 2 && app.get_option_no_throw("-" + name) != nullptr) {
      name.insert(0, "-");
      word.insert(0, "-");
    }
    const CLI::Option* option = app.get_option_no_throw(name);
    const bool takes_value = option != nullptr && option->get_items_expected_max() > 0;
    if (takes_value && equals != std::string::npos && name.size() == 2) {
      result.push_back(name);
      result.push_back(word.substr(word.find('=') + 1));
      continue;
    }
    value_follows = takes_value && equals == std::string::npos;
    result.push_back(std::move(word));
  }
  if (!arguments.empty()) {
    result.emplace_back("--");
    std::move(arguments.begin(), arguments.end(), std::back_inserter(result));
  }
  return result;
}

// Parses the options among `words`; the rest stays in `words`.
Result<Parsed> ParseOptions(CLI::App& app, Words& words, OptionsStand stand) {
  app.prefix_command();
  Words normal = Normalize(app, std::move(words), stand);
  std::reverse(normal.begin(), normal.end());
  try {
    app.parse(std::move(normal));
  } catch (const CLI::CallForHelp&) {
    return HelpAsked{app.help()};
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return Usage(std::move(text));
  }
  words = app.remaining();
  if (!words.empty() && words[0] == "--") {
    words.erase(words.begin());
  } else if (!words.empty() && words[0].size() > 1 && words[0][0] == '-') {
    return Usage("flag provided but not defined: " + words[0]);
  }
  return Parsed{};
}

// ---- the commands; each declares its options, parses, and checks its arguments

struct Arguments {
  std::string command;
  Words words;
  OptionsStand stand = OptionsStand::kAnywhere;

  [[nodiscard]] Result<> Expect(std::size_t least, std::size_t most) const {
    if (words.size() >= least && words.size() <= most) {
      return {};
    }
    const std::string how = least == most          ? "exactly " + std::to_string(least)
                            : words.size() < least ? "a minimum of " + std::to_string(least)
                                                   : "a maximum of " + std::to_string(most);
    return Usage("\"" + command + "\" requires " + how + " argument(s)");
  }
};

// Parses, and returns early on --help.
#define PARSE(app, arguments)                                                      \
  do {                                                                             \
    Parsed parsed_ = TRY(ParseOptions(app, (arguments).words, (arguments).stand)); \
    if (auto* help_ = std::get_if<HelpAsked>(&parsed_)) {                          \
      return Command{HelpCommand{std::move(help_->text)}};                         \
    }                                                                              \
  } while (false)

void AddIoOptions(CLI::App& app, container::IoOptions& io) {
  app.add_option("--console-socket", io.console_socket, "AF_UNIX socket that receives the terminal's master");
  app.add_option("--pidfd-socket", io.pidfd_socket, "AF_UNIX socket that receives a pidfd of the process");
  app.add_option("--pid-file", io.pid_file, "file to write the process id to");
  app.add_option("--preserve-fds", io.preserve_fds, "pass this many descriptors from 3 on to the container")
      ->check(CLI::Range(0, 1 << 16));
}

void AddCreateOptions(CLI::App& app, container::CreateOptions& options) {
  app.add_option("-b,--bundle", options.bundle, "directory of the bundle (default: the current one)");
  app.add_option("-f,--config", options.config, "config.json to use in place of the bundle's");
  app.add_flag("--no-pivot", options.no_pivot, "move the root in place of pivot_root, for a root on a ramfs");
  app.add_flag("--no-new-keyring", options.no_new_keyring, "keep the caller's session keyring");
  AddIoOptions(app, options.io);
}

Result<Command> ParseCreate(Arguments arguments) {
  CreateCommand command;
  CLI::App app{"Create a container: everything but its process", "nucleus create"};
  AddCreateOptions(app, command.options);
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.options.id = arguments.words[0];
  return command;
}

Result<Command> ParseRun(Arguments arguments) {
  RunCommand command;
  bool no_subreaper = false;
  CLI::App app{"Create, start, wait for and delete a container", "nucleus run"};
  AddCreateOptions(app, command.options);
  app.add_flag("-d,--detach", command.detach, "return once the process runs");
  app.add_flag("--keep", command.keep, "do not delete the container when its process has ended");
  app.add_flag("--no-subreaper", no_subreaper, "do not adopt the container's orphans");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.options.id = arguments.words[0];
  command.options.io.foreground = !command.detach;
  command.subreaper = !no_subreaper;
  return command;
}

template <class T>
Result<Command> ParseIdAlone(Arguments arguments, const char* description) {
  CLI::App app{description, "nucleus " + arguments.command};
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  return T{.id = arguments.words[0]};
}

Result<Command> ParseStart(Arguments arguments) {
  return ParseIdAlone<StartCommand>(std::move(arguments), "Execute the process of a created container");
}
Result<Command> ParseState(Arguments arguments) {
  return ParseIdAlone<StateCommand>(std::move(arguments), "Print a container's state as JSON");
}
Result<Command> ParsePause(Arguments arguments) {
  return ParseIdAlone<PauseCommand>(std::move(arguments), "Freeze all processes of a container");
}
Result<Command> ParseResume(Arguments arguments) {
  return ParseIdAlone<ResumeCommand>(std::move(arguments), "Thaw a paused container");
}

Result<Command> ParseKill(Arguments arguments) {
  KillCommand command;
  CLI::App app{"Send a signal (default TERM) to a container's process", "nucleus kill"};
  app.add_flag("-a,--all", command.all, "send it to all processes of the container");
  app.add_flag("-r,--regex", command.regex, "ID is a regular expression over all containers");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 2));
  command.id = arguments.words[0];
  command.signal = TRY(ParseSignal(arguments.words.size() > 1 ? arguments.words[1] : "TERM"));
  return command;
}

Result<Command> ParseDelete(Arguments arguments) {
  DeleteCommand command;
  CLI::App app{"Remove what is left of a container", "nucleus delete"};
  app.add_flag("-f,--force", command.force, "kill it first where it runs; no error where it does not exist");
  app.add_flag("-r,--regex", command.regex, "ID is a regular expression over all containers");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.id = arguments.words[0];
  return command;
}

Result<std::uint32_t> ParseId(std::string_view text, const std::string& option) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || id == UINT32_MAX) {
    return Usage(option + ": \"" + std::string{text} + "\" is not a numeric id");
  }
  return id;
}

// UID[:GID], numbers only: a name is the image's to interpret (CVE-2016-3697, CVE-2026-30892).
Result<> ParseUser(const std::string& text, container::ExecOptions& options) {
  const std::size_t colon = text.find(':');
  const std::string_view view{text};
  options.user.emplace();
  options.user->first = TRY(ParseId(view.substr(0, colon), "--user"));
  if (colon != std::string::npos) {
    options.user->second = TRY(ParseId(view.substr(colon + 1), "--user"));
  }
  return {};
}

Result<Command> ParseExec(Arguments arguments) {
  ExecCommand command;
  container::ExecOptions& options = command.options;
  std::string user;
  std::string cwd;
  bool terminal = false;
  bool no_new_privileges = false;
  Words additional_gids;
  CLI::App app{"Execute one more process in a container", "nucleus exec"};
  AddIoOptions(app, options.io);
  app.add_option("--cwd", cwd, "working directory");
  app.add_option("-e,--env", options.env, "NAME=VALUE, may be given more than once")->allow_extra_args(false);
  app.add_flag("-t,--tty", terminal, "with a terminal");
  app.add_option("-u,--user", user, "UID[:GID], numbers");
  app.add_option("-g,--additional-gids", additional_gids, "additional group, a number")->allow_extra_args(false);
  app.add_option("-p,--process", options.process_file, "file with the process as JSON");
  app.add_flag("-d,--detach", options.detach, "return once the process runs");
  app.add_option("--process-label", options.selinux_label, "SELinux label of the process");
  app.add_option("--apparmor", options.apparmor_profile, "AppArmor profile of the process");
  app.add_flag("--no-new-privs", no_new_privileges, "set no_new_privs");
  app.add_option("-c,--cap", options.capabilities, "capability to add")->allow_extra_args(false);
  app.add_option("--cgroup", options.cgroups, "[CONTROLLERS:]PATH below the container's cgroup")
      ->allow_extra_args(false);
  app.add_flag("--ignore-paused", options.ignore_paused, "also in a paused container, where it waits");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, SIZE_MAX));
  options.id = arguments.words[0];
  options.args.assign(arguments.words.begin() + 1, arguments.words.end());
  if (!user.empty()) {
    TRY(ParseUser(user, options));
  }
  for (const std::string& gid : additional_gids) {
    options.additional_gids.push_back(TRY(ParseId(gid, "--additional-gids")));
  }
  if (!cwd.empty()) {
    options.cwd = cwd;
  }
  if (terminal) {
    options.terminal = true;
  }
  if (no_new_privileges) {
    options.no_new_privileges = true;
  }
  options.io.foreground = !options.detach;
  return command;
}

Result<bool> IsJson(const std::string& format) {
  if (format != "table" && format != "json") {
    return Usage("invalid format option \"" + format + "\": table or json");
  }
  return format == "json";
}

Result<Command> ParseList(Arguments arguments) {
  ListCommand command;
  std::string format = "table";
  CLI::App app{"List the containers below the root", "nucleus list"};
  app.add_option("-f,--format", format, "table or json");
  app.add_flag("-q,--quiet", command.quiet, "ids only");
  PARSE(app, arguments);
  TRY(arguments.Expect(0, 0));
  command.json = TRY(IsJson(format));
  return command;
}

Result<Command> ParsePs(Arguments arguments) {
  PsCommand command;
  std::string format = "table";
  CLI::App app{"List a container's processes: ps ID [arguments of ps(1)]", "nucleus ps"};
  app.add_option("-f,--format", format, "table or json");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, SIZE_MAX));
  command.id = arguments.words[0];
  command.ps_arguments.assign(arguments.words.begin() + 1, arguments.words.end());
  command.json = TRY(IsJson(format));
  return command;
}

Result<Command> ParseUpdate(Arguments arguments) {
  UpdateCommand command;
  oci::CpuResources cpu;
  std::uint16_t blkio_weight = 0;
  std::string memory;
  std::string reservation;
  std::string swap;
  std::string kernel_memory;
  std::int64_t pids = 0;
  std::string l3_cache_schema;
  std::string mem_bw_schema;
  CLI::App app{"Change the limits of a container", "nucleus update"};
  app.add_option("-r,--resources", command.resources_file, "file with linux.resources as JSON, - for standard input");
  app.add_option("--blkio-weight", blkio_weight, "block I/O weight, 10 to 1000");
  app.add_option("--cpu-period", cpu.period, "length of a CPU period in us");
  app.add_option("--cpu-quota", cpu.quota, "CPU time in a period in us, -1 for no limit");
  app.add_option("--cpu-burst", cpu.burst, "unused quota that may be saved up in us");
  app.add_option("--cpu-share", cpu.shares, "relative CPU weight, 2 to 262144");
  app.add_option("--cpu-rt-period", cpu.realtime_period, "length of a real-time period in us");
  app.add_option("--cpu-rt-runtime", cpu.realtime_runtime, "real-time CPU time in a period in us");
  app.add_option("--cpu-idle", cpu.idle, "1: runs only when nothing else wants to");
  app.add_option("--cpuset-cpus", cpu.cpus, "CPUs, as in 0-3,7");
  app.add_option("--cpuset-mems", cpu.mems, "memory nodes, as in 0-1");
  app.add_option("--memory", memory, "memory limit, with k, m or g; -1 for no limit");
  app.add_option("--memory-reservation", reservation, "soft memory limit");
  app.add_option("--memory-swap", swap, "limit of memory and swap together");
  app.add_option("--kernel-memory", kernel_memory, "obsolete, no effect")->group("");
  app.add_option("--kernel-memory-tcp", kernel_memory, "obsolete, no effect")->group("");
  app.add_option("--pids-limit", pids, "number of processes, -1 for no limit");
  app.add_option("--l3-cache-schema", l3_cache_schema, "Intel RDT: L3 cache");
  app.add_option("--mem-bw-schema", mem_bw_schema, "Intel RDT: memory bandwidth");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.id = arguments.words[0];
  if (!l3_cache_schema.empty() || !mem_bw_schema.empty()) {
    return Usage("--l3-cache-schema and --mem-bw-schema: not supported yet");
  }
  oci::MemoryResources memory_limits;
  const std::pair<const std::string*, std::optional<std::int64_t>*> sizes[] = {
      {&memory, &memory_limits.limit}, {&reservation, &memory_limits.reservation}, {&swap, &memory_limits.swap}};
  for (const auto& [text, target] : sizes) {
    if (!text->empty()) {
      *target = TRY(ParseSize(*text));
      command.resources.memory = memory_limits;
    }
  }
  if (cpu.period || cpu.quota || cpu.burst || cpu.shares || cpu.realtime_period || cpu.realtime_runtime || cpu.idle ||
      !cpu.cpus.empty() || !cpu.mems.empty()) {
    command.resources.cpu = cpu;
  }
  if (app.count("--blkio-weight") != 0) {
    command.resources.block_io.emplace().weight = blkio_weight;
  }
  if (app.count("--pids-limit") != 0) {
    command.resources.pids_limit = pids;
  }
  return command;
}

Result<Command> ParseEvents(Arguments arguments) {
  EventsCommand command;
  std::string interval = "5s";
  CLI::App app{"Print what a container uses, and when a process of it is killed for want of memory", "nucleus events"};
  app.add_option("--interval", interval, "time between statistics (5s)");
  app.add_flag("--stats", command.stats, "print the statistics once and end");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.id = arguments.words[0];
  command.interval_ms = TRY(ParseDuration(interval));
  return command;
}

Result<Command> ParseSpec(Arguments arguments) {
  SpecCommand command{.bundle = "."};
  CLI::App app{"Write a config.json to begin with", "nucleus spec"};
  app.add_option("-b,--bundle", command.bundle, "directory to write it to");
  app.add_flag("--rootless", command.rootless, "for an ordinary user");
  PARSE(app, arguments);
  TRY(arguments.Expect(0, 0));
  return command;
}

Result<Command> ParseFeatures(Arguments arguments) {
  CLI::App app{"Print what this runtime supports as JSON", "nucleus features"};
  PARSE(app, arguments);
  TRY(arguments.Expect(0, 0));
  return FeaturesCommand{};
}

struct CommandRow {
  std::string_view name;
  Result<Command> (*parse)(Arguments);
  std::string_view summary;
  OptionsStand stand = OptionsStand::kAnywhere;
};

constexpr auto kCommands = std::to_array<CommandRow>({
    {"create", ParseCreate, "create a container"},
    {"start", ParseStart, "execute the process of a created container"},
    {"run", ParseRun, "create, start, wait for and delete a container"},
    {"exec", ParseExec, "execute one more process in a container", OptionsStand::kInFront},
    {"state", ParseState, "print a container's state"},
    {"kill", ParseKill, "send a signal to a container's process"},
    {"delete", ParseDelete, "remove what is left of a container"},
    {"list", ParseList, "list containers"},
    {"ps", ParsePs, "list a container's processes", OptionsStand::kInFront},
    {"pause", ParsePause, "freeze a container"},
    {"resume", ParseResume, "thaw a paused container"},
    {"update", ParseUpdate, "change a container's limits"},
    {"events", ParseEvents, "print a container's statistics and out-of-memory events"},
    {"spec", ParseSpec, "write a config.json to begin with"},
    {"features", ParseFeatures, "print what this runtime supports"},
});

std::string CommandList() {
  constexpr std::size_t kColumn = 12;
  std::string text = "Commands:";
  for (const CommandRow& row : kCommands) {
    text += "\n  " + std::string{row.name} + std::string(kColumn - row.name.size(), ' ') + std::string{row.summary};
  }
  return text + "\n\n`nucleus COMMAND --help` lists the options of a command.";
}

std::string DefaultRoot(bool& rootless_runtime_dir) {
  if (::geteuid() == 0) {
    return "/run/nucleus";
  }
  const char* runtime_dir = std::getenv("XDG_RUNTIME_DIR");
  if (runtime_dir != nullptr && runtime_dir[0] == '/') {
    rootless_runtime_dir = true;
    return std::string{runtime_dir} + "/nucleus";
  }
  return "/tmp/nucleus-" + std::to_string(::geteuid());
}

Result<std::string> AbsoluteRoot(std::string root) {
  if (root.empty()) {
    return Usage("--root must not be empty");
  }
  if (root.front() != '/') {
    std::array<char, PATH_MAX> directory{};
    if (::getcwd(directory.data(), directory.size()) == nullptr) {
      return std::unexpected(SysError("getcwd", ""));
    }
    root.insert(0, std::string{directory.data()} + "/");
  }
  while (root.size() > 1 && root.back() == '/') {
    root.pop_back();
  }
  if (root == "/") {
    return Usage("--root must not be /");
  }
  return root;
}

Result<Command> ParseAll(int argc, const char* const* argv, CommandLine& line) {
  GlobalOptions& global = line.global;
  std::string log_format = "text";
  std::string manager = "cgroupfs";
  std::string rootless = "auto";
  bool systemd_cgroup = false;
  bool version = false;
  std::string root;
  CLI::App app{"Run containers as the OCI runtime specification describes them", "nucleus"};
  app.footer(CommandList());
  app.add_option("--root", root, "directory for the containers' state");
  app.add_option("--log", global.log, "file to append log lines to");
  app.add_option("--log-format", log_format, "text or json");
  app.add_flag("--debug", global.debug, "log more");
  app.add_flag("--systemd-cgroup", systemd_cgroup, "systemd makes the cgroups");
  app.add_option("--cgroup-manager", manager, "cgroupfs, systemd or disabled");
  app.add_option("--rootless", rootless, "true, false or auto: accepted, always detected");
  app.add_flag("-v,--version", version, "print the version");
  Arguments arguments{.command = "nucleus", .words = Words(argv + 1, argv + argc), .stand = OptionsStand::kInFront};
  PARSE(app, arguments);
  if (!arguments.words.empty()) {
    line.name = arguments.words[0];
  }
  if (log_format != "text" && log_format != "json") {
    return Usage("invalid log format \"" + log_format + "\": text or json");
  }
  global.log_json = log_format == "json";
  global.root =
      TRY(AbsoluteRoot(root.empty() && app.count("--root") == 0 ? DefaultRoot(global.default_rootless_root) : root));
  if (manager != "cgroupfs" && manager != "systemd" && manager != "disabled") {
    return Usage("invalid cgroup manager \"" + manager + "\": cgroupfs, systemd or disabled");
  }
  if (systemd_cgroup || manager == "systemd") {
    global.cgroup_manager = container::CgroupManager::kSystemd;
  } else if (manager == "disabled") {
    global.cgroup_manager = container::CgroupManager::kDisabled;
  }
  if (rootless != "true" && rootless != "false" && rootless != "auto") {
    return Usage("invalid value \"" + rootless + "\" of --rootless: true, false or auto");
  }
  if (version) {
    return VersionCommand{};
  }
  if (arguments.words.empty() || arguments.words[0] == "help") {
    return HelpCommand{app.help()};
  }
  for (const CommandRow& row : kCommands) {
    if (row.name == line.name) {
      return row.parse({.command = line.name,
                        .words = Words(arguments.words.begin() + 1, arguments.words.end()),
                        .stand = row.stand});
    }
  }
  return Usage("unknown command \"" + line.name + "\"");
}

}  // namespace

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CommandLine line;
  line.command = ParseAll(argc, argv, line);
  return line;
}

}  // namespace nucleus::shim
