#include "front/compose/show.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "base/json_writer.h"
#include "front/service/log_file.h"
#include "front/service/log_format.h"
#include "front/stable_sort.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front::compose {
namespace {

std::string StateOf(const ServiceStatus& status) {
  if (!status.Over()) {
    return std::string{PhaseName(status.phase)};
  }
  return status.phase == Phase::kEnded ? "ended" : "lost";
}

std::string Padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

struct Row {
  std::string name;
  const ServiceStatus* status;  // null: it is not there
};

std::vector<Row> Rows(const std::map<std::string, ServiceStatus>& present, const std::vector<std::string>& named) {
  std::vector<Row> rows;
  rows.reserve(present.size() + named.size());
  for (const auto& [name, status] : present) {
    rows.push_back({.name = name, .status = &status});
  }
  for (const std::string& name : named) {
    if (!present.contains(name)) {
      rows.push_back({.name = name, .status = nullptr});
    }
  }
  std::ranges::sort(rows, {}, &Row::name);
  return rows;
}

struct Line {
  std::string time;
  std::string service;
  std::string text;
  bool error = false;
};

class Follower {
 public:
  Follower(std::string name, LogReader reader) : name_(std::move(name)), reader_(std::move(reader)) {
  }
  Result<> Read(std::vector<Line>& lines) {
    return reader_.Read([&](std::string_view text) -> Result<> {
      const std::optional<LogRecord> record = ParseRecord(text);
      if (record && record->stream != Stream::kSupervisor) {
        lines.push_back({.time = std::string{record->time},
                         .service = name_,
                         .text = std::string{record->text},
                         .error = record->stream == Stream::kErr});
      }
      return {};
    });
  }
  [[nodiscard]] int changes() const {
    return reader_.changes();
  }

 private:
  std::string name_;
  LogReader reader_;
};

Result<> Print(std::vector<Line>& lines, std::size_t width) {
  StableSort(lines, &Line::time);
  for (const Line& line : lines) {
    const int fd = line.error ? STDERR_FILENO : STDOUT_FILENO;
    // Escaped as in the log wherever it goes: a workload's bytes are nobody's terminal's.
    const std::string prefix = width == 0 ? "" : Padded(line.service, width) + "| ";
    TRY(WriteAll(fd, prefix + ForTerminal(line.text, false) + "\n", "stdout"));
  }
  lines.clear();
  return {};
}

}  // namespace

std::string PsText(const std::map<std::string, ServiceStatus>& present, const std::vector<std::string>& named) {
  const std::vector<Row> rows = Rows(present, named);
  std::size_t width = std::string_view{"SERVICE"}.size() + 2;
  for (const Row& row : rows) {
    width = std::max(width, row.name.size() + 2);
  }
  constexpr std::size_t kColumn = 12;
  std::string text = Padded("SERVICE", width) + Padded("STATE", kColumn) + Padded("HEALTH", kColumn) +
                     Padded("STATUS", kColumn) + "ID\n";
  for (const Row& row : rows) {
    if (row.status == nullptr) {
      text += Padded(row.name, width) + "absent\n";
      continue;
    }
    const ServiceStatus& status = *row.status;
    text += Padded(row.name, width) + Padded(StateOf(status), kColumn) +
            Padded(std::string{HealthName(status.health)}, kColumn) +
            Padded(status.Over() && status.phase == Phase::kEnded ? std::to_string(status.exit_status) : "-", kColumn) +
            status.id + "\n";
  }
  return text;
}

std::string PsJson(const std::string& project, const std::map<std::string, ServiceStatus>& present,
                   const std::vector<std::string>& named) {
  JsonWriter out{2};
  out.BeginObject();
  out.Key("project").String(project);
  out.Key("services").BeginArray();
  for (const Row& row : Rows(present, named)) {
    out.BeginObject();
    out.Key("service").String(row.name);
    out.Key("state").String(row.status == nullptr ? "absent" : StateOf(*row.status));
    if (row.status != nullptr) {
      const ServiceStatus& status = *row.status;
      out.Key("id").String(status.id);
      out.Key("health").String(HealthName(status.health));
      out.Key("restarts").Int(status.restarts);
      out.Key("started").String(status.started);
      if (!status.unit.empty()) {
        out.Key("unit").String(status.unit);
      }
      if (status.Over() && status.phase == Phase::kEnded) {
        out.Key("ended").String(status.ended);
        out.Key("exitStatus").Int(status.exit_status);
      }
      if (!status.error.empty()) {
        out.Key("error").String(status.error);
      }
    }
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
  return out.Take() + "\n";
}

Result<> ShowLogs(const Globals& globals, const std::map<std::string, ServiceStatus>& services, long lines,
                  bool follow) {
  const std::string directory = TRY(ServicesDirectory(globals));
  std::vector<Follower> followers;
  std::vector<Line> found;
  std::size_t width = 0;
  for (const auto& [name, status] : services) {
    followers.emplace_back(name, TRY(LogReader::Open(directory + "/" + status.id, lines)));
    TRY(followers.back().Read(found));
    width = services.size() > 1 ? std::max(width, name.size() + 1) : 0;
  }
  TRY(Print(found, width));
  std::vector<Fd> supervisors;
  for (const auto& [name, status] : services) {
    if (!status.Over()) {
      if (Result<Fd> supervisor = sys::PidfdOpen(status.supervisor); supervisor) {
        supervisors.push_back(*std::move(supervisor));
      }
    }
  }
  while (follow && !supervisors.empty()) {
    std::vector<pollfd> entries;
    entries.reserve(followers.size() + supervisors.size());
    for (const Follower& follower : followers) {
      entries.push_back({.fd = follower.changes(), .events = POLLIN, .revents = 0});
    }
    for (const Fd& supervisor : supervisors) {
      entries.push_back({.fd = supervisor.get(), .events = POLLIN, .revents = 0});
    }
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    for (Follower& follower : followers) {
      TRY(follower.Read(found));
    }
    TRY(Print(found, width));
    std::size_t at = followers.size();
    std::erase_if(supervisors, [&](const Fd&) { return entries[at++].revents != 0; });
  }
  return {};
}

}  // namespace nucleus::front::compose
