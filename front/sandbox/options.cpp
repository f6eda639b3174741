#include "front/sandbox/options.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <cmath>

#include "base/fd.h"
#include "oci-config/publish.h"
#include "runtime/container/container.h"
#include "shim/cli/command_line.h"

namespace nucleus::front {
namespace {

constexpr std::int64_t kLeastLog = std::int64_t{64} << 10;
constexpr std::size_t kMaxEnvironment = std::size_t{1} << 20;

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Failure(std::move(message), EINVAL));
}

Result<std::int64_t> Number(std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    return Bad("\"" + std::string{text} + "\" must be a number from " + std::to_string(least) + " to " +
               std::to_string(most));
  }
  return value;
}

bool IsBelow(std::string_view path) {
  return !path.empty() && path != "." && path != ".." && !path.starts_with('/') && !path.starts_with("../") &&
         path.find("/../") == std::string_view::npos && !path.ends_with("/..");
}

Result<std::string> Inside(std::string_view path) {
  if (!path.starts_with('/') || !IsBelow(path.substr(1))) {
    return Bad("\"" + std::string{path} + "\" must be an absolute path inside, without \"..\"");
  }
  return std::string{path};
}

// SRC:DEST[:ro|:rw]; a colon in a path cannot be told from another.
Result<Volume> ParseVolume(const std::string& text, bool relative) {
  Volume volume;
  std::string_view rest{text};
  if (rest.ends_with(":rw") || rest.ends_with(":ro")) {
    volume.writable = rest.ends_with(":rw");
    rest.remove_suffix(3);
  }
  const std::size_t colon = rest.find(':');
  if (colon == 0 || colon == std::string_view::npos || rest.find(':', colon + 1) != std::string_view::npos) {
    return Bad("\"" + text + "\" must be SRC:DEST or SRC:DEST:rw");
  }
  volume.source = TRY(AbsolutePath(std::string{rest.substr(0, colon)}));
  const std::string_view destination = rest.substr(colon + 1);
  if (relative) {
    if (!IsBelow(destination)) {
      return Bad("\"" + std::string{destination} + "\" must be a path below the home, without \"..\"");
    }
    volume.destination = destination;
  } else {
    volume.destination = TRY(Inside(destination));
  }
  return volume;
}

Result<Secret> ParseSecret(const std::string& text) {
  Secret secret;
  std::string_view source{text};
  // fd:N has a colon of its own.
  const bool descriptor = source.starts_with("fd:");
  const std::size_t colon = source.find(':', descriptor ? 3 : 0);
  if (colon == std::string_view::npos || colon == 0 || source.find(':', colon + 1) != std::string_view::npos) {
    return Bad("must be SRC:DEST, where SRC is a path or fd:N");
  }
  const std::string_view destination = source.substr(colon + 1);
  if (destination.empty() || destination.ends_with('/')) {
    return Bad("\"" + std::string{destination} + "\" must be a file's path inside, or one below /run/secrets");
  }
  secret.destination =
      TRY(Inside(destination.starts_with('/') ? std::string{destination} : "/run/secrets/" + std::string{destination}));
  source = source.substr(0, colon);
  if (descriptor) {
    secret.fd = static_cast<int>(TRY(Number(source.substr(3), 0, INT_MAX)));
  } else {
    secret.source = TRY(AbsolutePath(std::string{source}));
  }
  return secret;
}

bool IsVariableName(std::string_view name) {
  return !name.empty() && name.find_first_of(std::string_view{"=\0\n", 3}) == std::string_view::npos;
}

Result<> ApplyEnv(SandboxOptions& options, const std::string& value) {
  const std::size_t equals = value.find('=');
  if (equals == std::string::npos) {
    // The caller's own, where there is one.
    if (!IsVariableName(value)) {
      return Bad("must be NAME or NAME=VALUE");
    }
    if (const char* own = std::getenv(value.c_str()); own != nullptr) {
      options.environment.push_back(value + "=" + own);
    }
    return {};
  }
  if (!IsVariableName(value.substr(0, equals))) {
    return Bad("must be NAME or NAME=VALUE");
  }
  options.environment.push_back(value);
  return {};
}

// Lines of NAME=VALUE, or with NULs in between (as `env -0` has them) where there is one.
Result<> ApplyEnvFd(SandboxOptions& options, const std::string& value) {
  const int fd = static_cast<int>(TRY(Number(value, 0, INT_MAX)));
  const std::string text = TRY(ReadAll(fd, kMaxEnvironment, "descriptor " + value));
  const char separator = text.find('\0') != std::string::npos ? '\0' : '\n';
  std::string_view rest{text};
  for (int line = 1; !rest.empty(); ++line) {
    const std::size_t end = rest.find(separator);
    const std::string_view one = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (one.empty() || (separator == '\n' && one.starts_with('#'))) {
      continue;
    }
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || !IsVariableName(one.substr(0, equals))) {
      return Bad("entry " + std::to_string(line) + ": must be NAME=VALUE");  // the value may be a secret
    }
    options.environment.emplace_back(one);
  }
  return {};
}

Result<> ApplyUser(SandboxOptions& options, const std::string& value) {
  constexpr std::int64_t kMost = 65533;
  const std::size_t colon = value.find(':');
  const std::int64_t uid = TRY(Number(std::string_view{value}.substr(0, colon), 0, kMost));
  const std::int64_t gid =
      colon == std::string::npos ? uid : TRY(Number(std::string_view{value}.substr(colon + 1), 0, kMost));
  options.user.emplace(static_cast<std::uint32_t>(uid), static_cast<std::uint32_t>(gid));
  return {};
}

Result<> ApplyWorkspace(SandboxOptions& options, const std::string& value) {
  std::string path = value;
  options.workspace_mode = WorkspaceMode::kReadWrite;
  if (const std::size_t colon = value.rfind(':'); colon != std::string::npos) {
    const std::string mode = value.substr(colon + 1);
    if (mode != "rw" && mode != "ro" && mode != "copy") {
      return Bad("unknown mode \"" + mode + "\": rw, ro or copy");
    }
    options.workspace_mode = mode == "rw"   ? WorkspaceMode::kReadWrite
                             : mode == "ro" ? WorkspaceMode::kReadOnly
                                            : WorkspaceMode::kCopy;
    path.resize(colon);
  }
  if (path.empty()) {
    return Bad("must be DIR or DIR:MODE");
  }
  options.workspace = TRY(AbsolutePath(path));
  return {};
}

Result<> ApplyPublish(SandboxOptions& options, const std::string& value) {
  if (const auto ports = oci::ParsePublish(value); !ports) {
    return std::unexpected(ports.error());
  }
  options.publish.push_back(value);
  return {};
}

Result<> ApplyCpus(SandboxOptions& options, const std::string& value) {
  double cpus = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), cpus);
  constexpr double kLeast = 0.01;
  constexpr double kMost = 4096;
  if (value.empty() || error != std::errc{} || end != value.data() + value.size() || !(cpus >= kLeast) ||
      cpus > kMost) {
    return Bad("\"" + value + "\" must be a number from 0.01 to 4096, as in 1.5");
  }
  options.cpus = cpus;
  return {};
}

Result<> OneOf(std::string& target, const std::string& value, std::initializer_list<const char*> words) {
  std::string listed;
  for (const char* word : words) {
    if (value == word) {
      target = value;
      return {};
    }
    listed += (listed.empty() ? "" : ", ") + std::string{word};
  }
  return Bad("unknown value \"" + value + "\": one of " + listed);
}

Result<> ApplyRestart(SandboxOptions& options, const std::string& value) {
  constexpr std::string_view kOnFailure = "on-failure";
  constexpr std::int64_t kMost = 1000000;
  options.most_restarts = 0;
  if (value == "no") {
    options.restart = Restart::kNo;
  } else if (value == "always") {
    options.restart = Restart::kAlways;
  } else if (value == kOnFailure) {
    options.restart = Restart::kOnFailure;
  } else if (value.starts_with(std::string{kOnFailure} + ":")) {
    options.restart = Restart::kOnFailure;
    options.most_restarts =
        static_cast<int>(TRY(Number(std::string_view{value}.substr(kOnFailure.size() + 1), 1, kMost)));
  } else {
    return Bad("unknown value \"" + value + "\": one of no, on-failure, on-failure:TIMES, always");
  }
  return {};
}

Result<> ApplyHealthCommand(SandboxOptions& options, const std::string& value) {
  options.health_command = value;
  options.health.command = TRY(ParseHealthCommand(value));
  return {};
}

template <std::string SandboxOptions::* member>
Result<> ApplyPath(SandboxOptions& options, const std::string& value) {
  if (value.empty()) {
    return Bad("must not be empty");
  }
  options.*member = TRY(AbsolutePath(value));
  return {};
}

template <bool SandboxOptions::* member>
Result<> ApplyFlag(SandboxOptions& options, const std::string& /*value*/) {
  options.*member = true;
  return {};
}

template <std::vector<std::string> SandboxOptions::* member>
Result<> ApplyText(SandboxOptions& options, const std::string& value) {
  if (value.empty()) {
    return Bad("must not be empty");
  }
  (options.*member).push_back(value);
  return {};
}

}  // namespace

Result<std::string> AbsolutePath(const std::string& path) {
  if (path.empty()) {
    return Bad("an empty path");
  }
  std::string absolute = path;
  if (!path.starts_with('/')) {
    std::array<char, PATH_MAX> directory{};
    if (::getcwd(directory.data(), directory.size()) == nullptr) {
      return std::unexpected(SysError("getcwd", ""));
    }
    absolute = std::string{directory.data()} + "/" + path;
  }
  while (absolute.size() > 1 && absolute.back() == '/') {
    absolute.pop_back();
  }
  return absolute;
}

const std::vector<OptionRow>& SandboxRows() {
  using enum OptionKind;
  using O = SandboxOptions;
  static const std::vector<OptionRow> rows = {
      {"rootfs", kText, "DIR", "root filesystem; it stays as it is (default: the host's programs, read-only)",
       ApplyPath<&O::rootfs>},
      {"rootfs-overlay", kFlag, nullptr,
       "overlay it in place of a copy in memory; it has to belong to the sandbox's ids", ApplyFlag<&O::overlay_rootfs>},
      {"workspace", kText, "DIR[:MODE]", "directory that is /workspace: rw (default), ro or copy", ApplyWorkspace},
      {"workspace-exec", kFlag, nullptr, "what is writable may be executed", ApplyFlag<&O::workspace_exec>},
      {"volume", kList, "SRC:DEST[:rw]", "directory or file of the host, read-only unless :rw",
       [](O& o, const std::string& v) -> Result<> {
         return o.volumes.push_back(TRY(ParseVolume(v, false))), Result<>{};
       }},
      {"mount-config", kList, "SRC:DEST[:rw]", "the same, DEST below the home",
       [](O& o, const std::string& v) -> Result<> {
         return o.config_mounts.push_back(TRY(ParseVolume(v, true))), Result<>{};
       }},
      {"env", kList, "NAME[=VALUE]", "environment variable; without a value the caller's own", ApplyEnv},
      {"env-fd", kInteger, "N", "read lines of NAME=VALUE from this descriptor", ApplyEnvFd},
      {"secret", kList, "SRC:DEST", "file (or fd:N) that is put into memory, for the sandbox's user alone to read",
       [](O& o, const std::string& v) -> Result<> { return o.secrets.push_back(TRY(ParseSecret(v))), Result<>{}; }},
      {"memory", kText, "SIZE", "limit of memory, as in 512m",
       [](O& o, const std::string& v) -> Result<> { return o.memory = TRY(shim::ParseSize(v)), Result<>{}; }},
      {"cpus", kText, "N", "limit of processor time, as in 1.5", ApplyCpus},
      {"pids", kInteger, "N", "limit of processes (of root's sandboxes 4096 by default)",
       [](O& o, const std::string& v) -> Result<> { return o.pids = TRY(Number(v, 1, INT_MAX)), Result<>{}; }},
      {"timeout", kText, "TIME", "end it after this time, as in 10m, with status 124",
       [](O& o, const std::string& v) -> Result<> { return o.timeout_ms = TRY(shim::ParseDuration(v)), Result<>{}; }},
      {"allow", kList, "WHERE[:PORTS]", "domain, address or network that may be connected to; nothing else may",
       ApplyText<&O::allow>},
      {"dns", kList, "ADDRESS", "server that is asked for allowed names (default: those of the host's resolv.conf)",
       ApplyText<&O::dns>},
      {"broker", kText, "ADDRESS:PORT", "proxy, the only thing that may be connected to",
       [](O& o, const std::string& v) -> Result<> { return o.broker = v, Result<>{}; }},
      {"publish", kList, "[ADDRESS:]PORT:PORT", "port of the host that leads to one inside", ApplyPublish},
      {"network", kText, "MODE", "none, bridge or userspace (default: what is needed)",
       [](O& o, const std::string& v) { return OneOf(o.network, v, {"none", "bridge", "userspace"}); }},
      {"runtime", kText, "NAME", "native or gvisor",
       [](O& o, const std::string& v) { return OneOf(o.runtime, v, {"native", "gvisor"}); }},
      {"user", kText, "UID[:GID]", "who it runs as inside", ApplyUser},
      {"gpu", kList, "VENDOR/CLASS=NAME", "device that a CDI description has", ApplyText<&O::gpus>},
      {"cdi-dir", kList, "DIR", "where CDI descriptions are (default: /etc/cdi and /var/run/cdi)",
       [](O& o, const std::string& v) -> Result<> { return o.cdi_dirs.push_back(TRY(AbsolutePath(v))), Result<>{}; }},
      {"seccomp", kText, "FILE", "seccomp policy (default: the built-in one)", ApplyPath<&O::seccomp_policy>},
      {"landlock", kText, "FILE", "Landlock policy (default: derived from the mounts)", ApplyPath<&O::landlock_policy>},
      {"egress", kText, "FILE", "egress policy, in place of --allow", ApplyPath<&O::egress_policy>},
      {"hostname", kText, "NAME", "name of the host inside",
       [](O& o, const std::string& v) -> Result<> { return o.hostname = v, Result<>{}; }},
      {"cwd", kText, "DIR", "working directory inside (default: /workspace, else the home)",
       [](O& o, const std::string& v) -> Result<> { return o.cwd = TRY(Inside(v == "/" ? "/." : v)), Result<>{}; }},
      {"name", kText, "ID", "id of the container",
       [](O& o, const std::string& v) -> Result<> { return TRY(container::ValidateId(v)), o.name = v, Result<>{}; }},
      {"no-terminal", kFlag, nullptr, "no terminal inside, even where the caller has one", ApplyFlag<&O::no_terminal>},
      {"detach", kFlag, nullptr, "let it run on and print its id: logs, stop, stats, attach", ApplyFlag<&O::detach>},
      {"terminal", kFlag, nullptr, "with --detach: a terminal inside, for attach", ApplyFlag<&O::terminal>},
      {"interactive", kFlag, nullptr, "with --detach: keep its input open, for attach", ApplyFlag<&O::interactive>},
      {"restart", kText, "WHEN", "with --detach: start it again: no (default), on-failure[:TIMES] or always",
       ApplyRestart},
      {"stop-signal", kText, "SIGNAL", "what `nucleus stop` sends first (default: TERM)",
       [](O& o, const std::string& v) -> Result<> { return o.stop_signal = TRY(shim::ParseSignal(v)), Result<>{}; }},
      {"stop-timeout", kText, "TIME", "how long after that KILL follows (default: 10s)",
       [](O& o, const std::string& v) -> Result<> {
         return o.stop_timeout_ms = TRY(shim::ParseDuration(v)), Result<>{};
       }},
      {"log-size", kText, "SIZE", "with --detach: largest size of a log file (default: 8m)",
       [](O& o, const std::string& v) -> Result<> {
         o.log.bytes = TRY(shim::ParseSize(v));
         return o.log.bytes >= kLeastLog ? Result<>{} : Bad("must be 64k at least");
       }},
      {"log-files", kInteger, "N", "with --detach: how many log files are kept (default: 3)",
       [](O& o, const std::string& v) -> Result<> {
         return o.log.files = static_cast<int>(TRY(Number(v, 1, 100))), Result<>{};
       }},
      {"health-cmd", kText, "COMMAND", "asks how it is: a line for /bin/sh, or a JSON array of words",
       ApplyHealthCommand},
      {"health-start-period", kText, "TIME", "in which failures do not count (default: none)",
       [](O& o, const std::string& v) -> Result<> {
         return o.health.start_period_ms = TRY(shim::ParseDuration(v)), Result<>{};
       }},
      {"health-interval", kText, "TIME", "between two checks (default: 30s)",
       [](O& o, const std::string& v) -> Result<> {
         return o.health.interval_ms = TRY(shim::ParseDuration(v)), Result<>{};
       }},
      {"health-retries", kInteger, "N", "so many failures in a row are unhealthy (default: 3)",
       [](O& o, const std::string& v) -> Result<> {
         return o.health.retries = static_cast<int>(TRY(Number(v, 1, 1000))), Result<>{};
       }},
      {"health-timeout", kText, "TIME", "how long a check may take (default: 30s)",
       [](O& o, const std::string& v) -> Result<> {
         return o.health.timeout_ms = TRY(shim::ParseDuration(v)), Result<>{};
       }},
      {"learn", kText, "DIR", "write proposals for policies there; runs in agent mode", ApplyPath<&O::learn>},
      {"print-bundle", kText, "DIR", "write the bundle there in place of running it", ApplyPath<&O::print_bundle>},
  };
  return rows;
}

}  // namespace nucleus::front
