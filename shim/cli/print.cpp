// state, list and ps: what is known, in the forms that runc's callers parse.

#include <fcntl.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>

#include "base/fd.h"
#include "base/json_writer.h"
#include "runtime/container/evidence.h"
#include "runtime/container/state_dir.h"
#include "shim/cli/commands.h"

namespace nucleus::shim {
namespace {

// What a supervisor outside of this program says (front/service/): "starting", "healthy" or "unhealthy".
std::string HealthOf(const container::Settings& settings, const container::Snapshot& snapshot) {
  constexpr std::size_t kLongest = 16;
  return snapshot.status == container::Status::kRunning
             ? ReadFile(settings.root + "/" + snapshot.state.id + "/" + container::kHealthFile, kLongest).value_or("")
             : "";
}

void WriteSnapshot(JsonWriter& out, const container::Settings& settings, const container::Snapshot& snapshot,
                   const std::string& owner) {
  const oci::State& state = snapshot.state;
  const bool stopped = snapshot.status == container::Status::kStopped;
  out.BeginObject();
  out.Key("ociVersion").String(state.oci_version);
  out.Key("id").String(state.id);
  out.Key("pid").Int(stopped ? 0 : state.pid);
  out.Key("status").String(container::StatusName(snapshot.status));
  out.Key("bundle").String(state.bundle);
  out.Key("rootfs").String(state.rootfs);
  out.Key("created").String(state.created);
  const oci::StringMap evidence = container::EvidenceOf(settings, snapshot);
  const std::string health = HealthOf(settings, snapshot);
  if (!state.annotations.empty() || !evidence.empty() || !health.empty()) {
    out.Key("annotations").BeginObject();
    if (!health.empty()) {
      out.Key("dev.nucleus.health").String(health);
    }
    for (const auto& [key, value] : evidence) {
      out.Key("dev.nucleus.enforced." + key).String(value);
    }
    for (const auto& [key, value] : state.annotations) {
      out.Key(key).String(value);
    }
    out.EndObject();
  }
  out.Key("owner").String(owner);
  out.EndObject();
}

// From /etc/passwd alone: other name services are modules that a static program cannot load.
std::string OwnerName(uid_t uid) {
  std::string name = "#" + std::to_string(uid);
  const std::unique_ptr<FILE, int (*)(FILE*)> file{std::fopen("/etc/passwd", "re"), std::fclose};
  while (const passwd* entry = file ? ::fgetpwent(file.get()) : nullptr) {
    if (entry->pw_uid == uid) {
      name = entry->pw_name;
      break;
    }
  }
  return name;
}

// Columns as wide as their widest cell and three blanks, twelve at least: what scripts around runc expect.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  constexpr std::size_t kGap = 3;
  constexpr std::size_t kLeast = 12;
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), kLeast);
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size() + kGap);
    }
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) {
        text.append(widths[i] - row[i].size(), ' ');
      }
    }
    text += '\n';
  }
  return text;
}

Result<int> Print(const std::string& text) {
  TRY(WriteAll(STDOUT_FILENO, text, "stdout"));
  return 0;
}

Result<std::string> OutputOfPs(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  const Fd read_end{ends[0]};
  Fd write_end{ends[1]};
  const pid_t pid = ::fork();
  if (pid < 0) {
    return std::unexpected(SysError("fork", ""));
  }
  if (pid == 0) {
    std::vector<char*> argv = {const_cast<char*>("ps")};
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    ::dup2(write_end.get(), STDOUT_FILENO);
    ::execvp("ps", argv.data());
    ::_exit(127);
  }
  write_end.Reset();
  constexpr std::size_t kMax = std::size_t{64} << 20;
  Result<std::string> text = ReadAll(read_end.get(), kMax, "ps");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (text && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
    const bool missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
    return std::unexpected(missing ? Failure("exec: \"ps\": executable file not found in $PATH", ENOENT)
                                   : Failure("ps failed"));
  }
  return text;
}

// Which column of ps's heading is the pid's.
Result<std::size_t> PidColumn(std::string_view heading) {
  std::size_t column = 0;
  std::size_t at = heading.find_first_not_of(' ');
  while (at != std::string_view::npos) {
    const std::size_t end = std::min(heading.find(' ', at), heading.size());
    if (heading.substr(at, end - at) == "PID") {
      return column;
    }
    ++column;
    at = heading.find_first_not_of(' ', end);
  }
  return std::unexpected(Failure("couldn't find PID field in ps output"));
}

bool HasPid(std::string_view line, std::size_t column, const std::vector<pid_t>& pids) {
  std::size_t at = line.find_first_not_of(' ');
  for (std::size_t i = 0; i < column && at != std::string_view::npos; ++i) {
    at = line.find_first_not_of(' ', std::min(line.find(' ', at), line.size()));
  }
  pid_t pid = 0;
  return at != std::string_view::npos &&
         std::from_chars(line.data() + at, line.data() + line.size(), pid).ec == std::errc{} &&
         std::binary_search(pids.begin(), pids.end(), pid);
}

}  // namespace

Result<int> PrintState(const container::Settings& settings, const StateCommand& command) {
  JsonWriter out{2};
  // As with runc, the owner is told by list alone.
  WriteSnapshot(out, settings, TRY(container::Load(settings, command.id)), "");
  return Print(out.Take());
}

Result<int> PrintList(const container::Settings& settings, const ListCommand& command) {
  const std::vector<container::Snapshot> containers = TRY(container::List(settings));
  if (command.quiet) {
    std::string text;
    for (const container::Snapshot& snapshot : containers) {
      text += snapshot.state.id + "\n";
    }
    return Print(text);
  }
  if (command.json) {
    JsonWriter out;
    if (containers.empty()) {
      return Print("null\n");
    }
    out.BeginArray();
    for (const container::Snapshot& snapshot : containers) {
      WriteSnapshot(out, settings, snapshot, OwnerName(snapshot.state.owner));
    }
    out.EndArray();
    return Print(out.Take() + "\n");
  }
  std::vector<std::vector<std::string>> rows = {{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  for (const container::Snapshot& snapshot : containers) {
    const bool stopped = snapshot.status == container::Status::kStopped;
    rows.push_back({snapshot.state.id, std::to_string(stopped ? 0 : snapshot.state.pid),
                    std::string{container::StatusName(snapshot.status)}, snapshot.state.bundle, snapshot.state.created,
                    OwnerName(snapshot.state.owner)});
  }
  return Print(FormatTable(rows));
}

Result<int> PrintProcesses(const container::Settings& settings, const PsCommand& command) {
  const std::vector<pid_t> pids = TRY(container::Processes(settings, command.id));
  if (command.json) {
    JsonWriter out;
    out.BeginArray();
    for (const pid_t pid : pids) {
      out.Int(pid);
    }
    out.EndArray();
    return Print(out.Take() + "\n");
  }
  const std::vector<std::string> usual = {"-ef"};
  const std::string all = TRY(OutputOfPs(command.ps_arguments.empty() ? usual : command.ps_arguments));
  std::string text;
  std::optional<std::size_t> column;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = std::min(all.find('\n', begin), all.size());
    const std::string_view line = std::string_view{all}.substr(begin, end - begin);
    begin = end + 1;
    const bool heading = !column;
    if (heading) {
      column = TRY(PidColumn(line));
    }
    if (heading || HasPid(line, *column, pids)) {
      text += line;
      text += '\n';
    }
  }
  return Print(text);
}

}  // namespace nucleus::shim
