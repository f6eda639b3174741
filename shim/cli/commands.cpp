#include "shim/cli/commands.h"

#include <fcntl.h>
#include <regex.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/fd.h"
#include "runtime/container/record.h"
#include "runtime/container/state_dir.h"
#include "runtime/evidence/event_log.h"
#include "shim/cli/hint.h"
#include "shim/cli/log.h"
#include "shim/cli/telemetry.h"
#include "shim/cli/version.h"

namespace nucleus::shim {
namespace {

using container::Tell;
using container::TellFailure;

// Descriptors that the caller promised to pass must be there: a gap would be filled by one of the runtime's own, and
// that would reach the container (CVE-2024-21626).
Result<> CheckPreservedFds(int count) {
  for (int fd = 3; fd < 3 + count; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) {
      return std::unexpected(SysError("--preserve-fds: descriptor", std::to_string(fd)));
    }
  }
  return {};
}

Result<std::vector<std::string>> MatchingIds(const container::Settings& settings, const std::string& pattern) {
  regex_t regex;
  if (const int result = ::regcomp(&regex, pattern.c_str(), REG_EXTENDED | REG_NOSUB); result != 0) {
    char words[128];
    ::regerror(result, &regex, words, sizeof words);
    return std::unexpected(Failure("invalid regular expression \"" + pattern + "\": " + words, EINVAL));
  }
  Result<std::vector<container::Snapshot>> all = container::List(settings);
  std::vector<std::string> ids;
  if (all) {
    for (const container::Snapshot& snapshot : *all) {
      if (::regexec(&regex, snapshot.state.id.c_str(), 0, nullptr, 0) == 0) {
        ids.push_back(snapshot.state.id);
      }
    }
  }
  ::regfree(&regex);
  if (!all) {
    return std::unexpected(all.error());
  }
  return ids;
}

// All of them are tried; the first error is the command's.
template <class Act>
Result<int> ForEachMatch(const container::Settings& settings, const std::string& pattern, Act act) {
  Result<int> outcome = 0;
  for (const std::string& id : TRY(MatchingIds(settings, pattern))) {
    Result<> done = act(id);
    if (!done && outcome) {
      outcome = std::unexpected(Context(id, done.error()));
    }
  }
  return outcome;
}

// The default root of an ordinary user lies in a directory that is cleaned of old files; the sticky bit keeps it.
void KeepRuntimeDir(const GlobalOptions& global) {
  if (global.default_rootless_root) {
    constexpr mode_t kSticky = 01700;
    if (::mkdir(global.root.c_str(), 0700) == 0 || errno == EEXIST) {
      (void)::chmod(global.root.c_str(), kSticky);
    }
  }
}

// Tells the events, where somebody asked for them, that a command was carried out, or how it failed.
template <class Act>
Result<> Told(const container::Settings& settings, std::string_view command, std::string_view kind,
              const std::string& id, Act act, std::vector<std::pair<std::string_view, std::int64_t>> numbers = {}) {
  if (settings.events != nullptr) {
    settings.events->Hold(id);
  }
  Result<> done = act();
  if (done) {
    Tell(settings, {.kind = kind, .id = id, .numbers = std::move(numbers)});
  } else {
    TellFailure(settings, id, command, done.error());
  }
  return done;
}

struct Dispatch {
  const container::Settings& settings;
  const GlobalOptions& global;
  const Backends& backends;
  Result<int> operator()(const CreateCommand& command) const {
    KeepRuntimeDir(global);
    container::Bundle bundle = TRY(container::OpenBundle(settings, command.options));
    Backend& backend = Route(backends, bundle.annotations);
    telemetry::NoteMode(bundle.annotations);
    TRY(backend.Create(settings, command.options, std::move(bundle)));
    return 0;
  }
  Result<int> operator()(const RunCommand& command) const {
    KeepRuntimeDir(global);
    return Run(settings, command, backends);
  }
  Result<int> operator()(const ExecCommand& command) const {
    return Exec(settings, command, backends);
  }
  Result<int> operator()(const StartCommand& command) const {
    Result<> started = Route(backends, settings, command.id).Start(settings, command.id);
    if (!started) {
      TellFailure(settings, command.id, "start", started.error());
      return std::unexpected(started.error());
    }
    return 0;
  }
  Result<int> operator()(const KillCommand& command) const {
    if (command.regex) {
      return ForEachMatch(settings, command.id, [&](const std::string& id) { return KillOne(command, id); });
    }
    TRY(KillOne(command, command.id));
    return 0;
  }
  Result<int> operator()(const DeleteCommand& command) const {
    if (command.regex) {
      return ForEachMatch(settings, command.id, [&](const std::string& id) { return DeleteOne(command, id); });
    }
    TRY(DeleteOne(command, command.id));
    return 0;
  }
  Result<int> operator()(const StateCommand& command) const {
    return PrintState(settings, command);
  }
  Result<int> operator()(const ListCommand& command) const {
    return PrintList(settings, command);
  }
  Result<int> operator()(const PsCommand& command) const {
    const std::optional<std::string> told =
        TRY(Route(backends, settings, command.id).Processes(settings, command.id, command.json));
    if (told) {
      TRY(WriteAll(STDOUT_FILENO, *told, "stdout"));
      return 0;
    }
    return PrintProcesses(settings, command);
  }
  Result<int> operator()(const PauseCommand& command) const {
    TRY(Told(settings, "pause", "paused", command.id, [&] { return container::Pause(settings, command.id); }));
    return 0;
  }
  Result<int> operator()(const ResumeCommand& command) const {
    TRY(Told(settings, "resume", "resumed", command.id, [&] { return container::Resume(settings, command.id); }));
    return 0;
  }
  Result<int> operator()(const UpdateCommand& command) const {
    TRY(Told(settings, "update", "updated", command.id, [&] { return UpdateLimits(settings, command); }));
    return 0;
  }
  Result<int> operator()(const EventsCommand& command) const {
    return PrintEvents(settings, command);
  }
  Result<int> operator()(const VerifyEventsCommand& command) const {
    return VerifyEvents(command);
  }
  Result<int> operator()(const CheckpointCommand& command) const {
    TRY(Told(settings, "checkpoint", "checkpointed", command.id,
             [&] { return Route(backends, settings, command.id).Checkpoint(settings, command.id, command.criu); }));
    return 0;
  }
  Result<int> operator()(const RestoreCommand& command) const {
    KeepRuntimeDir(global);
    return Restore(settings, command);
  }
  Result<int> operator()(const SpecCommand& command) const {
    return WriteSpec(command);
  }
  Result<int> operator()(const PolicyCommand& command) const {
    return PinOrVerify(command);
  }
  Result<int> operator()(const SeccompCommand& command) const {
    return GenerateSeccomp(command);
  }
  Result<int> operator()(const LearnCommand& command) const {
    KeepRuntimeDir(global);
    return Learn(settings, command, backends);
  }
  Result<int> operator()(const FeaturesCommand&) const {
    TRY(WriteAll(STDOUT_FILENO, FeaturesText(backends.gvisor) + "\n", "stdout"));
    return 0;
  }
  Result<int> operator()(const AttestCommand& command) const {
    return Attest(command);
  }
  Result<int> operator()(const ExplainCommand& command) const {
    return Explain(settings, command, backends);
  }
  Result<int> operator()(const DoctorCommand& command) const {
    return Doctor(command, backends.gvisor);
  }
  Result<int> operator()(const EgressCommand& command) const {
    return Egress(settings, command);
  }
  Result<int> operator()(const FrontCommand&) const {
    return std::unexpected(Failure("nucleus-front was not executed", ENOEXEC));  // main has done it
  }
  Result<int> operator()(const VersionCommand&) const {
    TRY(WriteAll(STDOUT_FILENO, VersionText(), "stdout"));
    return 0;
  }
  Result<int> operator()(const HelpCommand& command) const {
    TRY(WriteAll(STDOUT_FILENO, command.text, "stdout"));
    return 0;
  }

 private:
  [[nodiscard]] Result<> KillOne(const KillCommand& command, const std::string& id) const {
    return Told(settings, "kill", "killed", id,
                [&] { return Route(backends, settings, id).Kill(settings, id, command.signal, command.all); },
                {{"signal", command.signal}});
  }
  [[nodiscard]] Result<> DeleteOne(const DeleteCommand& command, const std::string& id) const {
    // --force may find nothing to delete, which is no event.
    if (settings.events != nullptr && command.force && ::access((settings.root + "/" + id).c_str(), F_OK) != 0) {
      return container::Delete(settings, id, true);
    }
    return Told(settings, "delete", "deleted", id, [&] { return container::Delete(settings, id, command.force); });
  }
};

int PreservedFds(const Command& command) {
  if (const auto* create = std::get_if<CreateCommand>(&command)) {
    return create->options.io.preserve_fds;
  }
  if (const auto* run = std::get_if<RunCommand>(&command)) {
    return run->options.io.preserve_fds;
  }
  if (const auto* exec = std::get_if<ExecCommand>(&command)) {
    return exec->options.io.preserve_fds;
  }
  return 0;
}

// Sockets that systemd has opened for this process (sd_listen_fds(3)) go on to the container's, before the other
// descriptors that are passed; it is pid 1 to itself.
void PassListenFds(Command& command) {
  container::CreateOptions* options = nullptr;
  if (auto* create = std::get_if<CreateCommand>(&command)) {
    options = &create->options;
  } else if (auto* run = std::get_if<RunCommand>(&command)) {
    options = &run->options;
  }
  const char* count = std::getenv("LISTEN_FDS");
  const char* pid = std::getenv("LISTEN_PID");
  if (options == nullptr || count == nullptr || pid == nullptr || std::to_string(::getpid()) != pid) {
    return;
  }
  constexpr int kMost = 1 << 16;
  int value = 0;
  const std::string_view text{count};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size() && value > 0 && value <= kMost) {
    options->io.preserve_fds += value;
    options->env.push_back("LISTEN_FDS=" + std::to_string(value));
    options->env.emplace_back("LISTEN_PID=1");
  }
}

// Where a service manager waits for a word that the service is ready (sd_notify(3)).
std::string NotifySocket() {
  const char* value = std::getenv("NOTIFY_SOCKET");
  std::string address = value != nullptr ? value : "";
  if (address.empty()) {
    return address;
  }
  if ((address.front() != '/' && address.front() != '@') || address.size() == 1) {
    Log(Level::kWarning, "NOTIFY_SOCKET: neither a path nor an abstract socket: " + address);
    return {};
  }
  return address;
}

// Where a bundle is named, that of what is to be.
std::string BundleOf(const Command& command) {
  const std::string* named = nullptr;
  if (const auto* create = std::get_if<CreateCommand>(&command)) {
    named = &create->options.bundle;
  } else if (const auto* run = std::get_if<RunCommand>(&command)) {
    named = &run->options.bundle;
  } else if (const auto* restore = std::get_if<RestoreCommand>(&command)) {
    named = &restore->options.bundle;
  } else if (const auto* learn = std::get_if<LearnCommand>(&command)) {
    named = &learn->bundle;
  }
  return named != nullptr ? container::AbsolutePath(*named).value_or("") : "";
}

// Of what is done to a container in its life; looking at it is no part of that.
void BeginSpan(const CommandLine& line, container::Settings& settings) {
  constexpr auto kLife = std::to_array<std::string_view>({"create", "start", "run", "exec", "kill", "delete", "pause",
                                                          "resume", "update", "checkpoint", "restore", "learn"});
  if (std::ranges::find(kLife, line.name) == kLife.end() || std::holds_alternative<HelpCommand>(*line.command)) {
    return;
  }
  telemetry::Begin(line.name);
  if (!telemetry::Active()) {
    return;
  }
  settings.stage = &telemetry::Stage;
  const std::string id = ContainerOf(*line.command);
  const std::string bundle = BundleOf(*line.command);
  if (!container::ValidateId(id)) {
    return;
  }
  telemetry::NoteContainer(id, bundle);
  if (bundle.empty()) {
    const Result<container::StateDir> directory = container::StateDir::Open(settings.root, id);
    const Result<oci::State> state = directory ? directory->ReadState() : std::unexpected(directory.error());
    if (state) {
      telemetry::NoteState(*state);
    }
  }
}

}  // namespace

Result<int> RunCommandLine(CommandLine& line, const Backends& backends) {
  if (line.command) {
    PassListenFds(*line.command);
  }
  // Before the log is opened, or its descriptor could pass for one of the caller's.
  const Result<> preserved = line.command ? CheckPreservedFds(PreservedFds(*line.command)) : Result<>{};
  TRY(OpenLog(line.global));
  TRY(preserved);
  if (!line.command) {
    return std::unexpected(line.command.error());
  }
  container::Settings settings{.root = line.global.root,
                               .cgroup_manager = line.global.cgroup_manager,
                               .warn = [](const std::string& message) { Log(Level::kWarning, message); }};
  settings.notify_socket = NotifySocket();
  if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY"); credentials != nullptr) {
    settings.credentials_directory = credentials;
  }
  BeginSpan(line, settings);
  std::optional<evidence::EventLog> events;
  if (!line.global.events.empty()) {
    events.emplace(TRY(evidence::EventLog::Open(line.global.events, line.global.root, PreservedFds(*line.command))));
    settings.events = &*events;
  }
  return std::visit(Dispatch{.settings = settings, .global = line.global, .backends = backends}, *line.command);
}

}  // namespace nucleus::shim
