#include "front/compose/launch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "base/fd.h"
#include "base/sha256.h"
#include "front/compose/bundles.h"
#include "front/compose/spec_file.h"
#include "front/service/health_monitor.h"
#include "front/service/record.h"
#include "runtime/systemd/client.h"

namespace nucleus::front::compose {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr mode_t kOwner = 0600;
constexpr const char* kFailed = ".failed";  // behind the file's name: why it did not start
// Beyond the service's own time to end, as for a detached one.
constexpr std::uint64_t kMarginUs = 60'000'000;
// From the word of systemd to the first sign of the supervisor.
constexpr std::int64_t kFirstSignMs = 60'000;

Result<> WriteFile(const std::string& path, std::string_view text) {
  const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kOwner)};
  return file ? WriteAll(file.get(), text, path) : std::unexpected(SysError("open", path));
}

std::string UnitName(const std::string& id) {
  return "nucleus-" + id + ".service";
}

void Wait() {
  constexpr long kStep = 50'000'000;
  const timespec time{.tv_sec = 0, .tv_nsec = kStep};
  ::nanosleep(&time, nullptr);
}

// A unit is where systemd is: what this process sees of networks and files is to be the same there.
bool WhereSystemdIs() {
  for (const char* type : {"net", "mnt", "pid", "user"}) {
    struct stat own{};
    struct stat its{};
    const std::string name = std::string{"/ns/"} + type;
    // An ordinary user may not look.
    if (::stat(("/proc/self" + name).c_str(), &own) == 0 && ::stat(("/proc/1" + name).c_str(), &its) == 0 &&
        (own.st_ino != its.st_ino || own.st_dev != its.st_dev)) {
      return false;
    }
  }
  return true;
}

// Until it runs, or has ended, or says why not.
Result<> AwaitUnit(const Globals& globals, const ServiceSpec& spec, const std::string& path) {
  const std::int64_t end = MonotonicMs() + kFirstSignMs;
  for (bool seen = false; seen || MonotonicMs() < end; Wait()) {
    if (const Result<std::string> why = ReadFile(path + kFailed, kMaxFile)) {
      return std::unexpected(Failure(*why));
    }
    const Result<ServiceStatus> status = ReadService(globals, spec.id);
    seen = status.has_value();
    if (seen && status->phase != Phase::kStarting) {
      return {};
    }
    if (seen && status->Over()) {
      return std::unexpected(Failure("its supervisor has ended without a word"));
    }
  }
  return std::unexpected(Failure("no sign of its supervisor: systemctl status " + UnitName(spec.id), ETIMEDOUT));
}

// What the unit names, so that it is the same one whatever its service's file is called: a link beside that.
Result<std::string> LinkFor(const ServiceSpec& spec, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  std::string link = path.substr(0, slash + 1) + ".unit." + spec.id;
  const std::string fresh = link + ".new";
  if ((::unlink(fresh.c_str()) != 0 && errno != ENOENT) || ::symlink(path.c_str() + slash + 1, fresh.c_str()) != 0 ||
      ::rename(fresh.c_str(), link.c_str()) != 0) {
    return std::unexpected(SysError("link", link));
  }
  return link;
}

}  // namespace

systemd::Request UnitOf(const Globals& globals, const ServiceSpec& spec, const std::string& path, bool user) {
  systemd::Request request{
      .operation = systemd::Operation::kLaunch, .user = user, .unit = UnitName(spec.id), .properties = {}};
  const auto add = [&request](systemd::Property property) { request.properties.push_back(std::move(property)); };
  add(systemd::Text("Description", "nucleus " + spec.id));
  add(systemd::Text("CollectMode", "inactive-or-failed"));
  add(systemd::Text("Type", spec.health.command.empty() ? "exec" : "notify"));
  add(systemd::Text("NotifyAccess", "main"));
  add(systemd::Text("KillMode", "mixed"));
  add(systemd::Number("TimeoutStartUSec", UINT64_MAX));  // how long it may take is the health command's to say
  add(systemd::Number("TimeoutStopUSec", static_cast<std::uint64_t>(spec.stop_timeout_ms) * 1000 + kMarginUs));
  systemd::Property command{.name = "ExecStart", .signature = "a(sasb)", .items = {NucleusProgram(), "nucleus"}};
  command.items.insert(command.items.end(), globals.words.begin(), globals.words.end());
  command.items.insert(command.items.end(), {"compose", "supervise", path});
  add(std::move(command));
  systemd::Property after{.name = "After", .signature = "as", .items = {}};
  const auto list = spec.labels.find(kAfterLabel);
  const auto project = spec.labels.find(kProjectLabel);
  std::string_view rest = list == spec.labels.end() ? std::string_view{} : list->second;
  while (!rest.empty() && project != spec.labels.end()) {
    const std::string_view other = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), other.size() + 1));
    after.items.push_back(UnitName(project->second + "." + std::string{other}));
  }
  if (!after.items.empty()) {
    systemd::Property wants = after;
    wants.name = "Wants";
    add(std::move(after));
    add(std::move(wants));
  }
  if (const Result<std::string> text = systemd::Encode(request)) {
    add({.name = "Environment", .signature = "as", .items = {"NUCLEUS_UNIT=" + Sha256Hex(*text)}});
  }
  return request;
}

Result<> Launch(const Globals& globals, const ServiceSpec& spec, const std::string& path,
                const std::function<Result<>()>& prepare) {
  TRY(WriteFile(path, FormatSpec(spec)));
  const bool user = ::geteuid() != 0;
  if (!systemd::CheckRunning(user) || !WhereSystemdIs()) {
    const ServiceHooks hooks{
        .prepare = prepare, .before = [] { return true; }, .finish = [](const auto&) -> Result<> { return {}; }};
    return StartService(globals, spec, hooks);
  }
  TRY(prepare());
  const std::string link = TRY(LinkFor(spec, path));
  const std::string failed = link + kFailed;
  ::unlink(failed.c_str());
  // What is known of one before is not to be taken for this one.
  if (const Result<> forgotten = ForgetService(globals, spec.id); !forgotten && forgotten.error().code != ENOENT) {
    return forgotten;
  }
  TRY(systemd::Ask(UnitOf(globals, spec, link, user)));
  const Result<> started = AwaitUnit(globals, spec, link);
  ::unlink(failed.c_str());
  return started;
}

Result<int> Supervise(const Globals& globals, const std::string& path) {
  const std::string text = TRY(ReadFile(path, kMaxFile));
  const ServiceSpec spec = TRY(ParseSpec(text, path));
  const ServiceHooks hooks{.prepare = []() -> Result<> { return {}; },
                           .before = [] { return true; },
                           .finish = [](const auto&) -> Result<> { return {}; }};
  bool started = false;
  const Result<int> status = RunService(globals, spec, hooks, [&started] { return started = true; });
  if (!status && !started) {
    TRY(WriteFile(path + kFailed, status.error().message));
  }
  return status;
}

}  // namespace nucleus::front::compose
