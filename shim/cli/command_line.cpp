#include "shim/cli/command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>

#include "base/sha256.h"
#include "base/suggest.h"
#include "runtime/container/host.h"
#include "shim/cli/front.h"

namespace nucleus::shim {
namespace {

using Words = std::vector<std::string>;

std::unexpected<Error> Usage(std::string message) {
  return std::unexpected(Failure(std::move(message), EINVAL));
}

// Where a usage error says what may have been meant: CommandLine::hint. Apart from the error, whose words callers
// match.
void Mean(std::string& hint, std::string_view word, const std::vector<std::string_view>& names,
          std::string_view prefix = "") {
  if (const std::string_view nearest = Nearest(word, names); !nearest.empty()) {
    hint = std::string{prefix} + std::string{nearest};
  }
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

void MeanOption(std::string& hint, const CLI::App& app, std::string_view word) {
  std::vector<std::string_view> names;
  for (const CLI::Option* option : app.get_options()) {
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  word = word.substr(0, word.find('='));
  word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
  Mean(hint, word, names, "--");
}

// Parses the options among `words`; the rest stays in `words`.
Result<Parsed> ParseOptions(CLI::App& app, Words& words, OptionsStand stand, std::string& hint) {
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
    MeanOption(hint, app, words[0]);
    return Usage("flag provided but not defined: " + words[0]);
  }
  return Parsed{};
}

// ---- the commands; each declares its options, parses, and checks its arguments

struct Arguments {
  std::string command;
  Words words;
  std::string& hint;
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
#define PARSE(app, arguments)                                                                        \
  do {                                                                                               \
    Parsed parsed_ = TRY(ParseOptions(app, (arguments).words, (arguments).stand, (arguments).hint)); \
    if (auto* help_ = std::get_if<HelpAsked>(&parsed_)) {                                            \
      return Command{HelpCommand{std::move(help_->text)}};                                           \
    }                                                                                                \
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
  app.add_option("--config-digest", options.config_digest, "digest that config.json must have: sha256:HEX")
      ->check([](const std::string& text) {
        constexpr std::string_view kPrefix = "sha256:";
        const bool good = text.starts_with(kPrefix) && IsSha256Hex(std::string_view{text}.substr(kPrefix.size()));
        return good ? std::string{} : std::string{"must be sha256: and 64 lower-case hex digits"};
      });
  app.add_option("--seccomp-trace", options.seccomp_trace, "file that receives what system calls are made, as NDJSON");
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
  command.options.deleted_at_end = !command.detach && !command.keep;
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
  const std::string name = arguments.words.size() > 1 ? arguments.words[1] : "TERM";
  const Result<int> signal = ParseSignal(name);
  if (!signal) {
    std::string bare = name;
    std::ranges::transform(bare, bare.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    Mean(arguments.hint, bare.starts_with("SIG") ? bare.substr(3) : bare, SignalNames());
  }
  command.signal = TRY(signal);
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

Result<bool> IsJson(const std::string& format, std::string& hint) {
  if (format != "table" && format != "json") {
    Mean(hint, format, {"table", "json"});
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
  command.json = TRY(IsJson(format, arguments.hint));
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
  command.json = TRY(IsJson(format, arguments.hint));
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
  app.add_option("--l3-cache-schema", command.rdt.l3_cache_schema, "Intel RDT: L3 cache");
  app.add_option("--mem-bw-schema", command.rdt.mem_bw_schema, "Intel RDT: memory bandwidth");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.id = arguments.words[0];
  for (const std::string* schema : {&command.rdt.l3_cache_schema, &command.rdt.mem_bw_schema}) {
    if (schema->find('\n') != std::string::npos) {
      return Usage("a schema of Intel RDT must be one line");
    }
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
  CLI::App app{
      "Print what a container uses, and when a process of it is killed for want of memory;\n"
      "`events verify FILE` checks a file that --events wrote",
      "nucleus events"};
  app.add_option("--interval", interval, "time between statistics (5s)");
  app.add_flag("--stats", command.stats, "print the statistics once and end");
  VerifyEventsCommand verify;
  app.add_flag("--json", verify.json, "events verify FILE: what was found as JSON");
  app.add_option("--head", verify.head, "events verify FILE: sha256:HEX of a line that must be there");
  PARSE(app, arguments);
  // A container may be called "verify"; two words are no command of runc's.
  if (arguments.words.size() == 2 && arguments.words[0] == "verify") {
    constexpr std::string_view kPrefix = "sha256:";
    if (verify.head.starts_with(kPrefix)) {
      verify.head.erase(0, kPrefix.size());
    }
    if (app.count("--head") != 0 && !IsSha256Hex(verify.head)) {
      return Usage("--head must be sha256: and 64 of 0-9a-f");
    }
    verify.file = arguments.words[1];
    return verify;
  }
  if (verify.json || app.count("--head") != 0) {
    return Usage("--json and --head belong to events verify FILE");
  }
  TRY(arguments.Expect(1, 1));
  command.id = arguments.words[0];
  command.interval_ms = TRY(ParseDuration(interval));
  return command;
}

void AddCriuOptions(CLI::App& app, container::CriuOptions& criu) {
  app.add_option("--image-path", criu.image_path, "directory of criu's images (./checkpoint)");
  app.add_option("--work-path", criu.work_path, "directory of criu's log (the images')");
  app.add_option("--manage-cgroups-mode", criu.cgroups_mode, "soft, full, strict or ignore");
  app.add_option("--empty-ns", criu.empty_namespaces, "namespace that comes back empty: network")
      ->allow_extra_args(false);
  app.add_flag("--tcp-established", criu.tcp_established, "allow open TCP connections");
  app.add_flag("--ext-unix-sk", criu.external_unix_sockets, "allow connected sockets of others");
  app.add_flag("--shell-job", criu.shell_job, "allow a terminal that is not the container's own");
  app.add_flag("--file-locks", criu.file_locks, "allow locks on files");
  app.add_flag("--auto-dedup", criu.auto_dedup, "drop pages from images that later ones have");
  app.add_flag("--lazy-pages", criu.lazy_pages, "memory is fetched when it is used");
}

Result<Command> ParseCheckpoint(Arguments arguments) {
  CheckpointCommand command;
  CLI::App app{"Write a container's processes to files, by criu", "nucleus checkpoint"};
  AddCriuOptions(app, command.criu);
  app.add_option("--parent-path", command.criu.parent_path, "images of a checkpoint before, relative to --image-path");
  app.add_option("--page-server", command.criu.page_server, "ADDRESS:PORT that memory is sent to");
  app.add_option("--status-fd", command.criu.status_fd, "descriptor that gets a NUL once lazy pages can be had");
  app.add_flag("--leave-running", command.criu.leave_running, "the container goes on");
  app.add_flag("--pre-dump", command.criu.pre_dump, "memory alone; the container goes on");
  app.add_flag("--tcp-skip-in-flight", command.criu.tcp_skip_in_flight, "leave out connections that are being made");
  app.add_flag("--link-remap", command.criu.link_remap, "link files anew that are open and deleted");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.id = arguments.words[0];
  if (command.criu.image_path.empty()) {
    return Usage("--image-path must not be empty");
  }
  return command;
}

Result<Command> ParseRestore(Arguments arguments) {
  RestoreCommand command;
  bool no_subreaper = false;
  CLI::App app{"Make a container from a bundle and what checkpoint has written", "nucleus restore"};
  AddCriuOptions(app, command.criu);
  app.add_option("-b,--bundle", command.options.bundle, "directory of the bundle (default: the current one)");
  app.add_option("--console-socket", command.options.io.console_socket,
                 "AF_UNIX socket that receives the terminal's master");
  app.add_option("--pid-file", command.options.io.pid_file, "file to write the process id to");
  app.add_option("--lsm-profile", command.criu.lsm_profile, "TYPE:NAME in place of the profile that it had");
  app.add_option("--lsm-mount-context", command.criu.lsm_mount_context, "SELinux context for its filesystems");
  app.add_flag("-d,--detach", command.detach, "return once the process runs");
  app.add_flag("--no-subreaper", no_subreaper, "do not adopt the container's orphans");
  app.add_flag("--no-pivot", command.options.no_pivot, "accepted: criu decides how the root is entered");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.options.id = arguments.words[0];
  command.options.io.foreground = !command.detach;
  command.subreaper = !no_subreaper;
  if (command.criu.image_path.empty()) {
    return Usage("--image-path must not be empty");
  }
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

Result<Command> ParsePolicy(Arguments arguments) {
  PolicyCommand command;
  CLI::App app{
      "`policy pin FILE...` prints each file with its digest, as an annotation names it;\n"
      "`policy verify BUNDLE` checks all that a bundle's annotations pin",
      "nucleus policy"};
  PARSE(app, arguments);
  constexpr std::size_t kMostFiles = 1 << 16;
  TRY(arguments.Expect(2, kMostFiles));
  command.verify = arguments.words[0] == "verify";
  if (!command.verify && arguments.words[0] != "pin") {
    Mean(arguments.hint, arguments.words[0], {"pin", "verify"});
    return Usage("policy: \"" + arguments.words[0] + "\" is neither pin nor verify");
  }
  if (command.verify) {
    TRY(arguments.Expect(2, 2));
  }
  command.paths.assign(arguments.words.begin() + 1, arguments.words.end());
  return command;
}

Result<Command> ParseSeccomp(Arguments arguments) {
  SeccompCommand command;
  CLI::App app{"`seccomp generate FILE...` makes a profile of what was traced: all of it is allowed, and nothing else",
               "nucleus seccomp"};
  app.add_option("-o,--output", command.output, "write the profile to this file and print its pin");
  PARSE(app, arguments);
  constexpr std::size_t kMostFiles = 1 << 16;
  TRY(arguments.Expect(2, kMostFiles));
  if (arguments.words[0] != "generate") {
    Mean(arguments.hint, arguments.words[0], {"generate"});
    return Usage("seccomp: unknown command \"" + arguments.words[0] + "\": generate");
  }
  if (app.count("--output") != 0 && command.output.empty()) {
    return Usage("--output must not be empty");
  }
  command.traces.assign(arguments.words.begin() + 1, arguments.words.end());
  return command;
}

Result<Command> ParseLearn(Arguments arguments) {
  LearnCommand command;
  CLI::App app{"Run a container to its end, and propose policies that allow what it did", "nucleus learn"};
  app.add_option("-b,--bundle", command.bundle, "directory of the bundle (default: the current one)");
  app.add_option("-o,--output", command.directory, "directory for the proposals (default: the current one)");
  PARSE(app, arguments);
  TRY(arguments.Expect(0, 1));
  if (command.directory.empty()) {
    return Usage("--output must not be empty");
  }
  command.id = arguments.words.empty() ? "learn-" + std::to_string(::getpid()) : arguments.words[0];
  return command;
}

Result<Command> ParseFeatures(Arguments arguments) {
  CLI::App app{"Print what this runtime supports as JSON", "nucleus features"};
  PARSE(app, arguments);
  TRY(arguments.Expect(0, 0));
  return FeaturesCommand{};
}

Result<Command> ParseAttest(Arguments arguments) {
  AttestCommand command;
  CLI::App app{
      "Describe a directory tree in a manifest, or compare it with one:\n"
      "  nucleus attest create [--store] [--closure LIST] [-o FILE] DIR\n"
      "  nucleus attest verify [--closure LIST] DIR MANIFEST[@sha256:HEX]",
      "nucleus attest"};
  app.add_option("-o,--output", command.manifest, "create: write the manifest to this file and print its pin");
  app.add_option("--closure", command.closure, "file that lists, a path a line, what is mounted in the tree");
  app.add_flag("--store", command.store, "create: root is the owner of all, and hard links are not told");
  PARSE(app, arguments);
  TRY(arguments.Expect(2, 3));
  command.directory = arguments.words[1];
  if (app.count("--closure") != 0 && command.closure.empty()) {
    return Usage("--closure must not be empty");
  }
  if (arguments.words[0] == "create") {
    TRY(arguments.Expect(2, 2));
    if (app.count("--output") != 0 && command.manifest.empty()) {
      return Usage("--output must not be empty");
    }
    return command;
  }
  if (arguments.words[0] != "verify") {
    Mean(arguments.hint, arguments.words[0], {"create", "verify"});
    return Usage("attest: unknown command \"" + arguments.words[0] + "\": create or verify");
  }
  TRY(arguments.Expect(3, 3));
  if (app.count("--output") != 0) {
    return Usage("attest verify has no output");
  }
  if (command.store) {
    return Usage("attest verify takes --store from the manifest");
  }
  command.verify = true;
  command.manifest = arguments.words[2];
  constexpr std::string_view kMark = "@sha256:";
  if (const std::size_t mark = command.manifest.rfind(kMark); mark != std::string::npos) {
    command.digest = command.manifest.substr(mark + kMark.size());
    command.manifest.resize(mark);
    if (!IsSha256Hex(command.digest)) {
      return Usage("attest verify: the digest must be 64 of 0-9a-f");
    }
  }
  return command;
}

Result<Command> ParseExplain(Arguments arguments) {
  ExplainCommand command;
  CLI::App app{"Print what a bundle would be allowed here, as create would plan it; nothing is made",
               "nucleus explain"};
  app.add_option("-f,--config", command.options.config, "config.json to use in place of the bundle's");
  app.add_option("--id", command.options.id, "of the container that it would be (explain)");
  app.add_flag("--json", command.json, "as JSON");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.options.bundle = arguments.words[0];
  if (command.options.id.empty()) {
    command.options.id = "explain";
  }
  TRY(container::ValidateId(command.options.id));
  return command;
}

Result<Command> ParseDoctor(Arguments arguments) {
  DoctorCommand command;
  CLI::App app{"Print what this host offers, and what each mode lacks here", "nucleus doctor"};
  app.add_flag("--json", command.json, "as JSON");
  PARSE(app, arguments);
  TRY(arguments.Expect(0, 0));
  return command;
}

Result<Command> ParseEgress(Arguments arguments) {
  EgressCommand command;
  CLI::App app{"Print a container's egress rules and what they refused, or replace its policy", "nucleus egress"};
  app.add_flag("--json", command.json, "as JSON");
  app.add_flag("--follow", command.follow, "print refusals as they come");
  app.add_option("--policy", command.policy, "PATH@sha256:HEX of a policy that takes the place of the present one");
  PARSE(app, arguments);
  TRY(arguments.Expect(1, 1));
  command.id = arguments.words[0];
  return command;
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
    {"checkpoint", ParseCheckpoint, "write a container's processes to files"},
    {"restore", ParseRestore, "make a container from such files"},
    {"spec", ParseSpec, "write a config.json to begin with"},
    {"policy", ParsePolicy, "pin policy files, and verify what a bundle pins"},
    {"seccomp", ParseSeccomp, "make a seccomp profile of what was traced"},
    {"learn", ParseLearn, "run a container, and propose policies for it"},
    {"features", ParseFeatures, "print what this runtime supports"},
    {"attest", ParseAttest, "describe a root filesystem, and find what has changed"},
    {"explain", ParseExplain, "print what a bundle would be allowed"},
    {"doctor", ParseDoctor, "print what this host offers, and what each mode lacks"},
    {"egress", ParseEgress, "print a container's egress rules and refusals, or replace its policy"},
});

std::string CommandList() {
  constexpr std::size_t kColumn = 12;
  std::string text = "Commands:";
  const auto add = [&text](std::string_view name, std::string_view summary) {
    text += "\n  " + std::string{name} + std::string(kColumn - name.size(), ' ') + std::string{summary};
  };
  for (const CommandRow& row : kCommands) {
    add(row.name, row.summary);
  }
  for (const auto& [name, summary] : kFrontCommands) {
    add(name, summary);
  }
  return text + "\n\n`nucleus COMMAND --help` lists the options of a command.";
}

std::vector<std::string_view> CommandNames() {
  std::vector<std::string_view> names;
  names.reserve(kCommands.size() + kFrontCommands.size());
  for (const CommandRow& row : kCommands) {
    names.push_back(row.name);
  }
  for (const auto& [name, summary] : kFrontCommands) {
    names.push_back(name);
  }
  return names;
}

std::string DefaultRoot(bool& rootless_runtime_dir) {
  const std::string runtime_dir = container::UsersRuntimeDir();
  if (!runtime_dir.empty()) {
    rootless_runtime_dir = true;
    return runtime_dir + "/nucleus";
  }
  if (::geteuid() == 0) {
    return "/run/nucleus";
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
  app.add_option("--events", global.events, "file or fd:N to append events to, chained by hash");
  app.add_flag("--systemd-cgroup", systemd_cgroup, "systemd makes the cgroups");
  app.add_option("--cgroup-manager", manager, "cgroupfs, systemd or disabled");
  app.add_option("--rootless", rootless, "true, false or auto: accepted, always detected");
  app.add_flag("-v,--version", version, "print the version");
  Arguments arguments{
      .command = "nucleus", .words = Words(argv + 1, argv + argc), .hint = line.hint, .stand = OptionsStand::kInFront};
  PARSE(app, arguments);
  if (!arguments.words.empty()) {
    line.name = arguments.words[0];
  }
  if (log_format != "text" && log_format != "json") {
    Mean(line.hint, log_format, {"text", "json"});
    return Usage("invalid log format \"" + log_format + "\": text or json");
  }
  if (app.count("--events") != 0 && global.events.empty()) {
    return Usage("--events must not be empty");
  }
  global.log_json = log_format == "json";
  global.root =
      TRY(AbsoluteRoot(root.empty() && app.count("--root") == 0 ? DefaultRoot(global.default_rootless_root) : root));
  if (manager != "cgroupfs" && manager != "systemd" && manager != "disabled") {
    Mean(line.hint, manager, {"cgroupfs", "systemd", "disabled"});
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
                        .hint = line.hint,
                        .stand = row.stand});
    }
  }
  if (IsFrontCommand(line.name)) {
    return FrontCommand{.options = argc - 1 - static_cast<int>(arguments.words.size())};
  }
  Mean(line.hint, line.name, CommandNames());
  return Usage("unknown command \"" + line.name + "\"");
}

}  // namespace

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CommandLine line;
  line.command = ParseAll(argc, argv, line);
  return line;
}

}  // namespace nucleus::shim
