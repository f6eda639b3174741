#include "shim/cli/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "base/fd.h"
#include "base/json_writer.h"

namespace nucleus::shim {
namespace {

struct Sink {
  Fd file;
  bool json = false;
  bool debug = false;
};

Sink& TheSink() {
  static Sink sink;
  return sink;
}

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      break;
  }
  return "error";
}

std::string Timestamp() {
  const std::time_t now = std::time(nullptr);
  tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

std::string Quoted(std::string_view text) {
  JsonWriter out;
  out.String(text);
  return out.Take();
}

std::string FileLine(Level level, std::string_view message, bool json) {
  if (json) {
    JsonWriter out;
    out.BeginObject();
    out.Key("level").String(LevelName(level));
    out.Key("msg").String(message);
    out.Key("time").String(Timestamp());
    out.EndObject();
    return out.Take() + "\n";
  }
  return "time=\"" + Timestamp() + "\" level=" + std::string{LevelName(level)} + " msg=" + Quoted(message) + "\n";
}

// One line, whatever is in the message: names come from hostile documents.
std::string TerminalLine(Level level, std::string_view message) {
  std::string line = level == Level::kError ? "nucleus: " : "nucleus: " + std::string{LevelName(level)} + ": ";
  line += message;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      c = ' ';
    }
  }
  return line + "\n";
}

}  // namespace

Result<> OpenLog(const GlobalOptions& options) {
  Sink& sink = TheSink();
  sink.json = options.log_json;
  sink.debug = options.debug;
  if (!options.log.empty()) {
    sink.file = Fd{::open(options.log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_SYNC | O_CLOEXEC | O_NOCTTY, 0644)};
    if (!sink.file) {
      return std::unexpected(SysError("open", options.log));
    }
  }
  return {};
}

void Log(Level level, std::string_view message) {
  const Sink& sink = TheSink();
  if (level == Level::kDebug && !sink.debug) {
    return;
  }
  if (sink.file) {
    (void)WriteAll(sink.file.get(), FileLine(level, message, sink.json), "log");
  }
  if (!sink.file || level == Level::kError) {
    (void)WriteAll(STDERR_FILENO, TerminalLine(level, message), "stderr");
  }
}

void Advise(std::string_view advice) {
  (void)WriteAll(STDERR_FILENO, TerminalLine(Level::kError, advice), "stderr");
}

int LogFile() {
  return TheSink().file.get();
}

bool LogIsJson() {
  return TheSink().json;
}

void AdoptLog(Fd file, bool json) {
  TheSink().file = std::move(file);
  TheSink().json = json;
}

}  // namespace nucleus::shim
