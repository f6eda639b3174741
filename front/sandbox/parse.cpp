// Words of the command line → options. What each option takes and means is in options.cpp.

#include <CLI/CLI.hpp>

#include "base/suggest.h"
#include "front/sandbox/config_file.h"
#include "front/sandbox/options.h"

namespace nucleus::front {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  nucleus sandbox -- python3 -c 'print(1)'\n"
    "  nucleus sandbox --workspace .:copy --allow registry.npmjs.org:443 -- npm install\n"
    "  nucleus sandbox --workspace . --workspace-exec --memory 2g --timeout 10m -- make\n"
    "  nucleus sandbox --secret ~/.token:token -- sh -c 'wc -c /run/secrets/token'\n";

// Where the command begins. An option that nobody knows is an error here, with what was meant.
Result<std::size_t> OptionsEnd(const std::vector<std::string>& words) {
  std::vector<std::string_view> names = {"config", "help"};
  for (const OptionRow& row : SandboxRows()) {
    names.emplace_back(row.name);
  }
  std::size_t i = 0;
  while (i < words.size() && words[i].size() > 1 && words[i][0] == '-' && words[i] != "--") {
    const std::size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    const auto row =
        std::ranges::find_if(SandboxRows(), [&](const OptionRow& one) { return name.substr(2) == one.name; });
    const bool known = name.starts_with("--") && (row != SandboxRows().end() || name == "--config" || name == "--help");
    if (!known && name != "-h") {
      return std::unexpected(Failure(
          "sandbox: unknown option " + name + Suggestion(name.substr(name.starts_with("--") ? 2 : 1), names, "--"),
          EINVAL));
    }
    const bool value = name == "--config" || (row != SandboxRows().end() && row->kind != OptionKind::kFlag);
    i += value && equals == std::string::npos ? 2 : 1;
  }
  return std::min(i, words.size());
}

}  // namespace

Result<SandboxCommandLine> ParseSandbox(std::vector<std::string> words) {
  SandboxCommandLine line;
  CLI::App app{"Run a command in a container of its own, made out of options and deleted after it", "nucleus sandbox"};
  app.footer(kExamples);
  std::vector<std::vector<std::string>> values(SandboxRows().size());
  std::string config;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const OptionRow& row = SandboxRows()[i];
    const std::string name = std::string{"--"} + row.name;
    if (row.kind == OptionKind::kFlag) {
      app.add_flag_callback(name, [&values, i] { values[i].emplace_back(); }, row.help);
    } else {
      CLI::Option* option = app.add_option(name, values[i], row.help)->allow_extra_args(false)->type_name(row.value);
      if (row.kind != OptionKind::kList) {
        option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::Throw);
      }
    }
  }
  app.add_option("--config", config, "file, or fd:N, with these options in TOML or JSON")->type_name("FILE");
  const auto end = static_cast<std::ptrdiff_t>(TRY(OptionsEnd(words)));
  std::vector<std::string> options(std::make_move_iterator(words.begin()),
                                   std::make_move_iterator(words.begin() + end));
  words.erase(words.begin(), words.begin() + end);
  if (!words.empty() && words[0] == "--") {
    words.erase(words.begin());
  }
  std::reverse(options.begin(), options.end());
  try {
    app.parse(std::move(options));
  } catch (const CLI::CallForHelp&) {
    line.help = app.help();
    return line;
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return std::unexpected(Failure("sandbox: " + text, EINVAL));
  }
  if (app.count("--config") != 0) {
    TRY(ApplyConfig(config, line.options));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const OptionRow& row = SandboxRows()[i];
    for (const std::string& value : values[i]) {
      TRY_IN(std::string{"--"} + row.name, row.apply(line.options, value));
    }
  }
  if (!words.empty()) {
    line.options.command = std::move(words);
  }
  if (line.options.command.empty()) {
    return std::unexpected(Failure("sandbox: no command: nucleus sandbox [OPTIONS] -- COMMAND [ARGUMENT...]", EINVAL));
  }
  return line;
}

}  // namespace nucleus::front
