// events verify: checks the chain of a file that --events wrote.

#include <unistd.h>

#include "base/fd.h"
#include "base/json_writer.h"
#include "runtime/evidence/chain.h"
#include "shim/cli/commands.h"

namespace nucleus::shim {
namespace {

// All of it is in memory; who writes more turns to a new file before.
constexpr std::size_t kMaxFile = std::size_t{512} << 20;

std::string AsText(const evidence::Verdict& verdict, const std::string& file) {
  std::string text;
  for (const std::uint64_t number : verdict.torn) {
    text += file + ":" + std::to_string(number) + ": torn: its writer was stopped; mended by the next line\n";
  }
  if (verdict.lost != 0) {
    text += file + ": events lost, as their writers say: " + std::to_string(verdict.lost) + "\n";
  }
  if (verdict.bad_line == 0) {
    text += "ok " + file + " lines " + std::to_string(verdict.lines) + " head sha256:" + verdict.head + "\n";
  }
  return text;
}

std::string AsJson(const evidence::Verdict& verdict) {
  JsonWriter out;
  out.BeginObject();
  out.Key("good").Bool(verdict.bad_line == 0);
  out.Key("lines").Uint(verdict.lines);
  if (verdict.bad_line != 0) {
    out.Key("badLine").Uint(verdict.bad_line);
    out.Key("why").String(verdict.why);
  } else {
    out.Key("head").String("sha256:" + verdict.head);
  }
  out.Key("torn").BeginArray();
  for (const std::uint64_t number : verdict.torn) {
    out.Uint(number);
  }
  out.EndArray();
  out.Key("lost").Uint(verdict.lost);
  out.EndObject();
  return out.Take() + "\n";
}

}  // namespace

Result<int> VerifyEvents(const VerifyEventsCommand& command) {
  const std::string text = TRY(ReadFile(command.file, kMaxFile));
  const evidence::Verdict verdict = evidence::VerifyChain(text, command.head);
  TRY(WriteAll(STDOUT_FILENO, command.json ? AsJson(verdict) : AsText(verdict, command.file), "stdout"));
  if (verdict.bad_line != 0) {
    return std::unexpected(Failure(command.file + ":" + std::to_string(verdict.bad_line) + ": " + verdict.why));
  }
  return 0;
}

}  // namespace nucleus::shim
