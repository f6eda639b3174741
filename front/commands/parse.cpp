// Words of the command line → the commands.

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/suggest.h"
#include "front/commands/commands.h"
#include "front/commands/detach_keys.h"
#include "runtime/container/container.h"
#include "shim/cli/command_line.h"

namespace nucleus::front {
namespace {

// Options may stand after the arguments, too. An option that nobody knows is an error with what was meant.
Result<> CheckOptions(const CLI::App& app, const std::string& name, const Words& words) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& one : option->get_lnames()) {
      names.push_back(one);
    }
  }
  for (const std::string& word : words) {
    if (word == "--") {
      break;
    }
    const std::string option = word.substr(0, word.find('='));
    if (option.starts_with("--") && app.get_option_no_throw(option) == nullptr) {
      const std::vector<std::string_view> known(names.begin(), names.end());
      return std::unexpected(
          Failure(name + ": unknown option " + option + Suggestion(option.substr(2), known, "--"), EINVAL));
    }
  }
  return {};
}

struct Parsed {
  bool help = false;
  std::string text;
};

Result<Parsed> Parse(CLI::App& app, const std::string& name, Words words) {
  TRY(CheckOptions(app, name, words));
  std::reverse(words.begin(), words.end());
  try {
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    return Parsed{.help = true, .text = app.help()};
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return std::unexpected(Failure(name + ": " + text, EINVAL));
  }
  return Parsed{};
}

#define PARSE(app, name, words)                                \
  do {                                                         \
    Parsed parsed_ = TRY(Parse(app, name, std::move(words)));  \
    if (parsed_.help) {                                        \
      return DayTwoCommand{HelpText{std::move(parsed_.text)}}; \
    }                                                          \
  } while (false)

Result<> CheckIds(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    TRY(container::ValidateId(id));
  }
  return {};
}

// "10" is seconds, as podman has it; or "1m30s".
Result<int> Seconds(const std::string& text) {
  const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return number && text.find_first_not_of('0') == std::string::npos ? Result<int>{0}
                                                                    : shim::ParseDuration(number ? text + "s" : text);
}

Result<DayTwoCommand> ParseLogs(const std::string& name, Words words) {
  LogsCommand command;
  std::string lines;
  CLI::App app{"Print what a detached sandbox has written", "nucleus logs"};
  app.footer(
      "Examples:\n"
      "  nucleus logs build\n"
      "  nucleus logs -f -n 20 build\n"
      "  nucleus logs --json build | jq -r 'select(.stream == \"stderr\").text'\n");
  app.add_flag("-f,--follow", command.follow, "go on until it has ended");
  app.add_option("-n,--tail", lines, "the last lines alone (default: all)")->type_name("N");
  app.add_flag("-t,--timestamps", command.timestamps, "time and stream before each line");
  app.add_flag("--json", command.json, "one object a line: time, stream, text, partial");
  app.add_option("ID", command.id, "of the sandbox")->required();
  PARSE(app, name, words);
  TRY(CheckIds({command.id}));
  if (!lines.empty() && lines != "all") {
    const auto [end, error] = std::from_chars(lines.data(), lines.data() + lines.size(), command.lines);
    if (error != std::errc{} || end != lines.data() + lines.size() || command.lines < 0) {
      return std::unexpected(Failure(name + ": -n \"" + lines + "\" must be a number", EINVAL));
    }
  }
  return command;
}

Result<DayTwoCommand> ParseStop(const std::string& name, Words words) {
  StopCommand command;
  std::string timeout;
  CLI::App app{"End sandboxes and remove what is left of them", "nucleus stop"};
  app.footer(
      "Examples:\n"
      "  nucleus stop build\n"
      "  nucleus stop --timeout 60 --keep database\n");
  app.add_option("-t,--timeout", timeout, "between its stop signal and KILL: seconds, or as in 1m30s")
      ->type_name("TIME");
  app.add_flag("--keep", command.keep, "keep log and exit status; stop it once more to remove them");
  app.add_option("ID", command.ids, "of the sandboxes")->required();
  PARSE(app, name, words);
  TRY(CheckIds(command.ids));
  if (!timeout.empty()) {
    command.timeout_ms = TRY_IN(name + ": --timeout", Seconds(timeout));
  }
  return command;
}

Result<DayTwoCommand> ParseStats(const std::string& name, Words words) {
  StatsCommand command;
  std::string interval;
  CLI::App app{"Print what running containers use", "nucleus stats"};
  app.footer(
      "Examples:\n"
      "  nucleus stats\n"
      "  nucleus stats --follow --interval 5s build\n"
      "  nucleus stats --json | jq '.[].memory.bytes'\n");
  app.add_flag("--json", command.json, "an array of objects on one line");
  app.add_flag("-f,--follow", command.follow, "again and again");
  app.add_option("--interval", interval, "with --follow: between two times (default: 1s)")->type_name("TIME");
  app.add_option("ID", command.ids, "of the containers (default: all that run)");
  PARSE(app, name, words);
  TRY(CheckIds(command.ids));
  if (!interval.empty()) {
    command.interval_ms = TRY_IN(name + ": --interval", Seconds(interval));
    if (command.interval_ms == 0) {
      return std::unexpected(Failure(name + ": --interval must not be 0", EINVAL));
    }
  }
  return command;
}

Result<DayTwoCommand> ParseAttach(const std::string& name, Words words) {
  AttachCommand command;
  std::string keys = kDetachKeys;
  CLI::App app{"Take part in a detached sandbox's input and output", "nucleus attach"};
  app.footer(
      "Examples:\n"
      "  nucleus attach shell\n"
      "  nucleus attach --detach-keys ctrl-a,d shell\n"
      "  nucleus attach --no-stdin build\n");
  app.add_flag("--no-stdin", command.no_input, "output alone");
  app.add_option("--detach-keys", keys, std::string{"what is typed to leave it running (default: "} + kDetachKeys + ")")
      ->type_name("KEYS");
  app.add_option("ID", command.id, "of the sandbox")->required();
  PARSE(app, name, words);
  TRY(CheckIds({command.id}));
  command.detach_keys = TRY_IN(name + ": --detach-keys", ParseDetachKeys(keys));
  return command;
}

Result<DayTwoCommand> ParseHealth(const std::string& name, Words words) {
  HealthCommand command;
  CLI::App app{"Print how detached sandboxes are, and how ended ones have ended", "nucleus health"};
  app.footer(
      "Exit status, with one ID: 0 healthy, 2 starting, 3 unhealthy, 4 it has no health command or does not run.\n"
      "Examples:\n"
      "  nucleus health\n"
      "  nucleus health database && echo well\n"
      "  nucleus health --json database | jq '.[0].health.log[-1].output'\n");
  app.add_flag("--json", command.json, "an array of objects");
  app.add_option("ID", command.ids, "of the sandboxes (default: all)");
  PARSE(app, name, words);
  TRY(CheckIds(command.ids));
  return command;
}

struct Row {
  std::string_view name;
  Result<DayTwoCommand> (*parse)(const std::string& name, Words words);
};
constexpr auto kRows = std::to_array<Row>({{"logs", ParseLogs},
                                           {"stop", ParseStop},
                                           {"stats", ParseStats},
                                           {"attach", ParseAttach},
                                           {"health", ParseHealth}});

}  // namespace

bool IsDayTwoCommand(std::string_view name) {
  return std::ranges::any_of(kRows, [name](const Row& row) { return row.name == name; });
}

Result<DayTwoCommand> ParseDayTwo(const std::string& name, Words words) {
  return std::ranges::find(kRows, name, &Row::name)->parse(name, std::move(words));
}

}  // namespace nucleus::front
