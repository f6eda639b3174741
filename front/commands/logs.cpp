// `nucleus logs`.

#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fd.h"
#include "base/json_writer.h"
#include "front/commands/commands.h"
#include "front/service/log_file.h"
#include "front/service/record.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

class Printer {
 public:
  explicit Printer(const LogsCommand& command) : command_(command) {
    const char* plain = std::getenv("NO_COLOR");
    colours_ = plain == nullptr || plain[0] == '\0';
  }

  Result<> Print(std::string_view line) const {
    const std::optional<LogRecord> record = ParseRecord(line);
    if (!record) {
      return {};  // torn, by a host that went down
    }
    if (command_.json) {
      return PrintJson(*record);
    }
    const bool own = record->stream == Stream::kSupervisor;
    const bool error = record->stream == Stream::kErr;
    // What the supervisor has to say is no output of the workload's.
    if (own && !command_.timestamps) {
      return {};
    }
    const int fd = error && !command_.timestamps ? STDERR_FILENO : STDOUT_FILENO;
    std::string text;
    if (command_.timestamps) {
      text = std::string{record->time} + (error ? " stderr " : own ? " nucleus " : " stdout ");
    }
    // To a terminal nothing that could change it; anywhere else the very bytes.
    text += ::isatty(fd) == 1     ? ForTerminal(record->text, colours_)
            : command_.timestamps ? std::string{record->text}
                                  : UnescapeLog(record->text);
    if (record->whole || command_.timestamps) {
      text += '\n';
    }
    return WriteAll(fd, text, "stdout");
  }

 private:
  static Result<> PrintJson(const LogRecord& record) {
    JsonWriter out;
    out.BeginObject();
    out.Key("time").String(record.time);
    out.Key("stream").String(record.stream == Stream::kOut   ? "stdout"
                             : record.stream == Stream::kErr ? "stderr"
                                                             : "nucleus");
    out.Key("text").String(UnescapeLog(record.text));
    out.Key("partial").Bool(!record.whole);
    out.EndObject();
    return WriteAll(STDOUT_FILENO, out.Take() + "\n", "stdout");
  }

  const LogsCommand& command_;
  bool colours_ = false;
};

}  // namespace

Result<int> RunLogs(const Globals& globals, const LogsCommand& command) {
  const ServiceStatus status = TRY(ReadService(globals, command.id));
  const std::string directory = TRY(ServicesDirectory(globals)) + "/" + command.id;
  LogReader reader = TRY(LogReader::Open(directory, command.lines));
  const Printer printer{command};
  const auto print = [&](std::string_view line) { return printer.Print(line); };
  TRY(reader.Read(print));
  if (!command.follow || status.Over()) {
    return 0;
  }
  const Result<Fd> supervisor = sys::PidfdOpen(status.supervisor);
  while (supervisor && status.Supervised()) {
    pollfd entries[] = {{.fd = reader.changes(), .events = POLLIN, .revents = 0},
                        {.fd = supervisor->get(), .events = POLLIN, .revents = 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) {
      return std::unexpected(SysError("poll", ""));
    }
    TRY(reader.Read(print));
  }
  TRY(reader.Read(print));
  return 0;
}

}  // namespace nucleus::front
