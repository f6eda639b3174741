#include "front/service/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "base/json_writer.h"
#include "front/sandbox/tree.h"
#include "oci-config/json_reader.h"
#include "runtime/container/container.h"
#include "runtime/container/state_dir.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxStatus = std::size_t{1} << 20;
constexpr auto kPhases = std::to_array<std::pair<Phase, std::string_view>>({{Phase::kStarting, "starting"},
                                                                            {Phase::kRunning, "running"},
                                                                            {Phase::kStopping, "stopping"},
                                                                            {Phase::kWaiting, "waiting"},
                                                                            {Phase::kEnded, "ended"}});

Result<> MakeDirectories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    const mode_t mode = slash == std::string::npos ? 0700 : 0755;
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return std::unexpected(SysError("mkdir", part));
    }
    if (slash == std::string::npos) {
      return {};
    }
  }
}

Result<ServiceStatus> ReadStatus(const std::string& directory) {
  const std::string path = directory + "/" + kStatusFile;
  return ParseStatus(TRY(ReadFile(path, kMaxStatus)), path);
}

void ReadHealth(oci::JsonReader& in, ServiceStatus& status) {
  std::string health;
  in.Map([&](std::string_view key) {
    if (key == "status") {
      health = in.Text();
    } else if (key == "failingStreak") {
      status.failing_streak = static_cast<int>(in.Integer(0, INT32_MAX));
    } else if (key == "log") {
      in.Array([&](std::size_t) {
        HealthResult& result = status.health_results.emplace_back();
        in.Object(
            {{"start", result.start}, {"end", result.end}, {"exitCode", result.exit_code}, {"output", result.output}});
      });
    } else {
      in.Skip();
    }
  });
  status.health = ParseHealth(health);
}

}  // namespace

std::string_view PhaseName(Phase phase) {
  return std::ranges::find(kPhases, phase, [](const auto& row) { return row.first; })->second;
}

bool ServiceStatus::Supervised() const {
  if (supervisor <= 0) {
    return false;
  }
  const Result<sys::ProcessStat> stat = sys::ReadProcessStat(supervisor);
  return stat && stat->start_time == supervisor_start && !stat->dead();
}

void WriteHealthJson(JsonWriter& out, const ServiceStatus& status) {
  out.Key("health").BeginObject();
  out.Key("status").String(HealthName(status.health));
  out.Key("failingStreak").Int(status.failing_streak);
  out.Key("log").BeginArray();
  for (const HealthResult& result : status.health_results) {
    out.BeginObject();
    out.Key("start").String(result.start);
    out.Key("end").String(result.end);
    out.Key("exitCode").Int(result.exit_code);
    // A NUL is none of JsonReader's text.
    std::string output = result.output;
    std::ranges::replace(output, '\0', '?');
    out.Key("output").String(output);
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
}

std::string FormatStatus(const ServiceStatus& status) {
  JsonWriter out{2};
  out.BeginObject();
  out.Key("id").String(status.id);
  out.Key("phase").String(PhaseName(status.phase));
  out.Key("supervisor").Int(status.supervisor);
  out.Key("supervisorStart").Uint(status.supervisor_start);
  out.Key("unit").String(status.unit);
  out.Key("started").String(status.started);
  out.Key("ended").String(status.ended);
  out.Key("exitStatus").Int(status.exit_status);
  out.Key("timedOut").Bool(status.timed_out);
  out.Key("error").String(status.error);
  out.Key("restarts").Int(status.restarts);
  out.Key("terminal").Bool(status.terminal);
  out.Key("keepsInput").Bool(status.keeps_input);
  out.Key("labels").BeginObject();
  for (const auto& [key, value] : status.labels) {
    out.Key(key).String(value);
  }
  out.EndObject();
  WriteHealthJson(out, status);
  out.EndObject();
  return out.Take() + "\n";
}

Result<ServiceStatus> ParseStatus(std::string_view text, std::string_view name) {
  ServiceStatus status;
  oci::JsonReader in{text, name};
  in.Map([&](std::string_view key) {
    if (key == "id") {
      status.id = in.Text();
    } else if (key == "phase") {
      const std::string_view word = in.Text();
      const auto* row = std::ranges::find(kPhases, word, [](const auto& one) { return one.second; });
      if (row == kPhases.end()) {
        in.Fail("unknown phase");
      } else {
        status.phase = row->first;
      }
    } else if (key == "supervisor") {
      oci::Read(in, status.supervisor);
    } else if (key == "supervisorStart") {
      oci::Read(in, status.supervisor_start);
    } else if (key == "unit") {
      oci::Read(in, status.unit);
    } else if (key == "started") {
      oci::Read(in, status.started);
    } else if (key == "ended") {
      oci::Read(in, status.ended);
    } else if (key == "exitStatus") {
      oci::Read(in, status.exit_status);
    } else if (key == "timedOut") {
      oci::Read(in, status.timed_out);
    } else if (key == "error") {
      oci::Read(in, status.error);
    } else if (key == "restarts") {
      oci::Read(in, status.restarts);
    } else if (key == "terminal") {
      oci::Read(in, status.terminal);
    } else if (key == "keepsInput") {
      oci::Read(in, status.keeps_input);
    } else if (key == "labels") {
      oci::Read(in, status.labels);
    } else if (key == "health") {
      ReadHealth(in, status);
    } else {
      in.Skip();
    }
  });
  TRY(in.Finish());
  return status;
}

Result<std::string> ServicesDirectory(const Globals& globals) {
  if (!globals.default_root) {
    return globals.root + "-services";
  }
  if (::geteuid() == 0) {
    return std::string{"/var/lib/nucleus/services"};
  }
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') {
    return std::string{state} + "/nucleus/services";
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') {
    return std::unexpected(Failure("neither XDG_STATE_HOME nor HOME says where logs are to be kept", ENOENT));
  }
  return std::string{home} + "/.local/state/nucleus/services";
}

Result<ServiceStatus> ReadService(const Globals& globals, const std::string& id) {
  TRY(container::ValidateId(id));
  Result<ServiceStatus> status = ReadStatus(TRY(ServicesDirectory(globals)) + "/" + id);
  if (!status && status.error().code == ENOENT) {
    return std::unexpected(Failure(id + ": there is no such detached sandbox or service", ENOENT));
  }
  return status;
}

Result<std::vector<ServiceStatus>> ListServices(const Globals& globals) {
  const std::string path = TRY(ServicesDirectory(globals));
  std::vector<ServiceStatus> all;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream{::opendir(path.c_str()), ::closedir};
  if (!stream) {
    return errno == ENOENT ? Result<std::vector<ServiceStatus>>{all} : std::unexpected(SysError("open", path));
  }
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): one thread
    if (entry->d_name[0] == '.') {
      continue;
    }
    if (Result<ServiceStatus> status = ReadStatus(path + "/" + entry->d_name); status) {
      all.push_back(*std::move(status));
    }
  }
  std::ranges::sort(all, {}, &ServiceStatus::id);
  return all;
}

Result<> ForgetService(const Globals& globals, const std::string& id) {
  const ServiceStatus status = TRY(ReadService(globals, id));
  if (!status.Over()) {
    return std::unexpected(Failure(id + ": it is still there", EBUSY));
  }
  const std::string services = TRY(ServicesDirectory(globals));
  // Under a name that is nobody's, so that what is half removed is no service.
  const std::string gone = services + "/.gone-" + std::to_string(::getpid()) + "-" + id;
  if (::rename((services + "/" + id).c_str(), gone.c_str()) != 0) {
    return errno == ENOENT ? Result<>{} : std::unexpected(SysError("rename", services + "/" + id));
  }
  return RemoveTree(gone);
}

bool WorkloadRuns(const Globals& globals, const std::string& id) {
  const container::Settings settings{.root = globals.root, .warn = [](const std::string&) {}};
  const Result<container::Snapshot> snapshot = container::Load(settings, id);
  return snapshot &&
         (snapshot->status == container::Status::kRunning || snapshot->status == container::Status::kPaused);
}

void TellState(const Globals& globals, const std::string& id, Health health) {
  if (health == Health::kNone) {
    return;
  }
  if (const Result<container::StateDir> state = container::StateDir::Open(globals.root, id); state) {
    (void)state->WriteFile(container::kHealthFile, HealthName(health));
  }
}

Result<ServiceRecord> ServiceRecord::Make(const Globals& globals, const ServiceStatus& status) {
  ServiceRecord record;
  const std::string services = TRY(ServicesDirectory(globals));
  TRY(MakeDirectories(services));
  record.path_ = services + "/.new-" + std::to_string(::getpid()) + "-" + status.id;
  constexpr mode_t kMode = 0700;
  if (::mkdir(record.path_.c_str(), kMode) != 0) {
    return std::unexpected(SysError("mkdir", record.path_));
  }
  const auto make = [&]() -> Result<> {
    record.directory_ = TRY(sys::Open(record.path_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY(record.Write(status));
    const std::string path = services + "/" + status.id;
    constexpr int kTries = 8;
    for (int i = 0; ::renameat2(AT_FDCWD, record.path_.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0; ++i) {
      if (errno != EEXIST || i == kTries) {
        return std::unexpected(SysError("rename", path));
      }
      const Result<ServiceStatus> other = ReadService(globals, status.id);
      if (other && !other->Over()) {
        return std::unexpected(Failure(status.id + " exists already", EEXIST));
      }
      TRY(ForgetService(globals, status.id));
    }
    record.path_ = path;
    return {};
  };
  if (const Result<> made = make(); !made) {
    (void)RemoveTree(record.path_);
    return std::unexpected(made.error());
  }
  return record;
}

Result<> ServiceRecord::Write(const ServiceStatus& status) const {
  const std::string temporary = std::string{"."} + kStatusFile + ".new";
  constexpr mode_t kMode = 0600;
  const Fd file{
      ::openat(directory_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kMode)};
  if (!file) {
    return std::unexpected(SysError("create", path_ + "/" + kStatusFile));
  }
  TRY(WriteAll(file.get(), FormatStatus(status), kStatusFile));
  if (::renameat(directory_.get(), temporary.c_str(), directory_.get(), kStatusFile) != 0) {
    return std::unexpected(SysError("rename", path_ + "/" + kStatusFile));
  }
  return {};
}

Result<> ServiceRecord::Remove() const {
  return RemoveTree(path_);
}

}  // namespace nucleus::front
