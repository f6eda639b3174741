// `nucleus health`.

#include <unistd.h>

#include "base/fd.h"
#include "base/json_writer.h"
#include "front/commands/commands.h"
#include "front/service/record.h"
#include "front/table.h"

namespace nucleus::front {
namespace {

// What it says, or that its supervisor was killed.
std::string_view PhaseOf(const ServiceStatus& status) {
  return status.phase != Phase::kEnded && !status.Supervised() ? "lost" : PhaseName(status.phase);
}

void WriteJson(JsonWriter& out, const ServiceStatus& status) {
  out.BeginObject();
  out.Key("id").String(status.id);
  out.Key("phase").String(PhaseOf(status));
  out.Key("started").String(status.started);
  out.Key("ended").String(status.ended);
  out.Key("exitStatus").Int(status.exit_status);
  out.Key("timedOut").Bool(status.timed_out);
  out.Key("error").String(status.error);
  out.Key("restarts").Int(status.restarts);
  WriteHealthJson(out, status);
  out.EndObject();
}

int ExitStatus(const ServiceStatus& status) {
  constexpr int kHealthy = 0;
  constexpr int kStarting = 2;
  constexpr int kUnhealthy = 3;
  constexpr int kNeither = 4;
  if (status.Over()) {
    return kNeither;
  }
  switch (status.health) {
    case Health::kHealthy:
      return kHealthy;
    case Health::kStarting:
      return kStarting;
    case Health::kUnhealthy:
      return kUnhealthy;
    case Health::kNone:
      break;
  }
  return kNeither;
}

}  // namespace

Result<int> RunHealth(const Globals& globals, const HealthCommand& command) {
  std::vector<ServiceStatus> all;
  if (command.ids.empty()) {
    all = TRY(ListServices(globals));
  }
  for (const std::string& id : command.ids) {
    all.push_back(TRY(ReadService(globals, id)));
  }
  const int status = command.ids.size() == 1 ? ExitStatus(all[0]) : 0;
  if (command.json) {
    JsonWriter out{2};
    out.BeginArray();
    for (const ServiceStatus& one : all) {
      WriteJson(out, one);
    }
    out.EndArray();
    TRY(WriteAll(STDOUT_FILENO, out.Take() + "\n", "stdout"));
    return status;
  }
  std::vector<std::vector<std::string>> rows = {{"ID", "PHASE", "HEALTH", "STATUS", "RESTARTS", "STARTED"}};
  for (const ServiceStatus& one : all) {
    rows.push_back({one.id, std::string{PhaseOf(one)}, std::string{HealthName(one.health)},
                    one.ended.empty() ? "-" : std::to_string(one.exit_status), std::to_string(one.restarts),
                    one.started});
  }
  TRY(WriteAll(STDOUT_FILENO, FormatTable(rows), "stdout"));
  return status;
}

}  // namespace nucleus::front
