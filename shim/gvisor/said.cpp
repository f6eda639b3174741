#include "shim/gvisor/said.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "oci-config/json_reader.h"

namespace nucleus::gvisor {
namespace {

constexpr std::size_t kFields = 7;  // before the command: UID PID PPID C TTY STIME TIME
constexpr std::size_t kMostField = 32;
constexpr std::size_t kMostCommand = 256;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

std::string Printable(std::string_view text, std::size_t most) {
  std::string out{text.substr(0, most)};
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  return out;
}

struct Line {
  std::array<std::string_view, kFields> fields;
  std::string_view command;
};

// False where it has too few fields.
bool Split(std::string_view text, Line& line) {
  for (std::string_view& field : line.fields) {
    const std::size_t start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) {
      return false;
    }
    const std::size_t end = std::min(text.find(' ', start), text.size());
    field = text.substr(start, end - start);
    text.remove_prefix(end);
  }
  line.command = text.substr(std::min(text.find_first_not_of(' '), text.size()));
  return true;
}

std::string Row(const std::array<std::string_view, kFields>& fields, std::string_view command) {
  const auto word = [&fields](std::size_t i) { return Printable(fields[i], kMostField); };
  std::array<char, 512> text{};
  std::snprintf(text.data(), text.size(), "%-8s %7s %7s %2s %-5s %-8s %8s ", word(0).c_str(), word(1).c_str(),
                word(2).c_str(), word(3).c_str(), word(5).c_str(), word(4).c_str(), word(6).c_str());
  return text.data() + Printable(command, kMostCommand) + "\n";
}

}  // namespace

Result<pid_t> ParsePid(std::string_view text) {
  text = Trimmed(text);
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc{} || end != text.data() + text.size() || pid <= 0) {
    return std::unexpected(Failure("runsc has not said a process's pid", EPROTO));
  }
  return pid;
}

Result<std::vector<pid_t>> ParsePids(std::string_view text) {
  const auto other = [] { return std::unexpected(Failure("runsc ps: it does not tell processes", EPROTO)); };
  text = Trimmed(text);
  if (text == "null") {
    return std::vector<pid_t>{};
  }
  if (!text.starts_with('[') || !text.ends_with(']')) {
    return other();
  }
  text = text.substr(1, text.size() - 2);
  std::vector<pid_t> pids;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view number = Trimmed(text.substr(0, end));
    number.remove_prefix(std::min(number.find_first_not_of(" \n"), number.size()));
    const Result<pid_t> pid = ParsePid(number);
    if (!pid || pids.size() >= kMostProcesses) {
      return other();
    }
    pids.push_back(*pid);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return pids;
}

std::string FormatProcesses(std::string_view table, const std::vector<pid_t>& pids) {
  std::string out = Row({"UID", "PID", "PPID", "C", "TTY", "STIME", "TIME"}, "CMD");
  std::vector<pid_t> left = pids;
  std::ranges::sort(left);
  std::vector<bool> told(left.size());
  while (!table.empty()) {
    const std::size_t end = std::min(table.find('\n'), table.size());
    Line line;
    if (Split(table.substr(0, end), line)) {
      const Result<pid_t> pid = ParsePid(line.fields[1]);
      const auto at = pid ? std::ranges::lower_bound(left, *pid) : left.end();
      const auto index = static_cast<std::size_t>(at - left.begin());
      if (at != left.end() && *at == *pid && !told[index]) {
        told[index] = true;
        out += Row(line.fields, line.command);
      }
    }
    table.remove_prefix(std::min(end + 1, table.size()));
  }
  return out;
}

std::string LastMessage(std::string_view log, const std::string& name) {
  log = Trimmed(log);
  const std::size_t line = log.rfind('\n');
  oci::JsonReader in{line == std::string_view::npos ? log : log.substr(line + 1), name};
  std::string message;
  in.Object({{"msg", message}});
  return in.Finish() ? message : std::string{};
}

std::string InCallersWords(std::string message) {
  constexpr std::string_view kMissing = "error finding executable ";
  const std::size_t at = message.find(kMissing);
  const std::size_t end = at == std::string::npos ? at : message.find(" in PATH [", at);
  if (end == std::string::npos) {
    return message;
  }
  const std::string name = message.substr(at + kMissing.size(), end - at - kMissing.size());
  return message.substr(0, at) + "exec: " + name + ": executable file not found in $PATH";
}

}  // namespace nucleus::gvisor
