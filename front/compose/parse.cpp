#include "front/compose/parse.h"

#include <array>
#include <charconv>
#include <string_view>

#include "base/suggest.h"

namespace nucleus::front::compose {
namespace {

constexpr auto kVerbs = std::to_array<std::pair<std::string_view, Verb>>({{"validate", Verb::kValidate},
                                                                          {"plan", Verb::kPlan},
                                                                          {"up", Verb::kUp},
                                                                          {"ps", Verb::kPs},
                                                                          {"logs", Verb::kLogs},
                                                                          {"down", Verb::kDown},
                                                                          {"help", Verb::kHelp}});

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Failure("compose: " + std::move(message), EINVAL));
}

Result<Verb> VerbOf(std::string_view word) {
  std::vector<std::string_view> names;
  for (const auto& [name, verb] : kVerbs) {
    if (name == word) {
      return verb;
    }
    names.push_back(name);
  }
  return Bad("unknown command \"" + std::string{word} + "\"" + Suggestion(word, names));
}

class Words {
 public:
  explicit Words(const std::vector<std::string>& words) : words_(words) {
  }

  Result<CommandLine> Read() {
    while (at_ < words_.size()) {
      const std::string& word = words_[at_++];
      if (word == "-h" || word == "--help") {
        return CommandLine{};
      }
      if (word.size() > 1 && word[0] == '-') {
        TRY(Option(word));
      } else if (!verb_) {
        line_.verb = TRY(VerbOf(word));
        verb_ = true;
      } else if (line_.verb == Verb::kLogs) {
        line_.services.push_back(word);
      } else {
        return Bad("\"" + word + "\": takes no more words");
      }
    }
    if (!verb_) {
      return Bad("no command: nucleus compose validate|plan|up|ps|logs|down -f FILE");
    }
    if (line_.json && line_.verb != Verb::kValidate && line_.verb != Verb::kPlan && line_.verb != Verb::kPs) {
      return Bad("--json is for validate, plan and ps");
    }
    if ((line_.follow || line_.last >= 0) && line_.verb != Verb::kLogs) {
      return Bad("--follow and --tail are for logs");
    }
    if (line_.volumes && line_.verb != Verb::kDown) {
      return Bad("--volumes is for down");
    }
    return line_;
  }

 private:
  Result<> Option(const std::string& word) {
    const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const std::string name = word.substr(0, equals);
    const auto value = [&]() -> Result<std::string> {
      if (equals != std::string::npos) {
        return word.substr(equals + 1);
      }
      return at_ < words_.size() ? Result<std::string>{words_[at_++]} : Bad(name + " needs a value");
    };
    // As with logs(1) of others -f follows, once it is clear which file is meant.
    if (name == "--follow" || (name == "-f" && file_ && line_.verb == Verb::kLogs)) {
      line_.follow = true;
    } else if (name == "-f" || name == "--file") {
      if (file_) {
        return Bad(name + " is there twice");
      }
      line_.file = TRY(value());
      file_ = true;
    } else if (name == "-n" || name == "--tail") {
      const std::string text = TRY(value());
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), line_.last);
      if (text.empty() || error != std::errc{} || end != text.data() + text.size() || line_.last < 0) {
        return Bad(name + ": \"" + text + "\" must be a number of lines");
      }
    } else if (name == "--json") {
      line_.json = true;
    } else if (name == "--volumes") {
      line_.volumes = true;
    } else {
      return Bad("unknown option " + name +
                 Suggestion(name.substr(name.starts_with("--") ? 2 : 1),
                            {"file", "json", "follow", "tail", "volumes", "help"}, "--"));
    }
    return {};
  }

  const std::vector<std::string>& words_;
  std::size_t at_ = 0;
  CommandLine line_;
  bool verb_ = false;
  bool file_ = false;
};

}  // namespace

const char* const kComposeHelp =
    "Services, networks, volumes and secrets out of one TOML file\n"
    "Usage: nucleus compose COMMAND [OPTIONS]\n"
    "\n"
    "Commands:\n"
    "  validate [--json]               is the file right? All that is wrong, with line and key\n"
    "  plan [--json]                   what `up` would create, change, start and remove\n"
    "  up                              make it so, in the order of depends_on\n"
    "  ps [--json]                     what there is\n"
    "  logs [-f] [-n N] [SERVICE...]   what they wrote\n"
    "  down [--volumes]                end all of it, the last one first\n"
    "\n"
    "Options:\n"
    "  -f,--file FILE                  the file (default: topology.toml)\n"
    "  --json                          for programs\n"
    "  --follow                        of logs: go on until all have ended (behind -f FILE also -f)\n"
    "  -n,--tail N                     of logs: the last N lines of each\n"
    "  --volumes                       of down: persistent volumes as well\n"
    "\n"
    "Examples:\n"
    "  nucleus compose plan -f shop.toml\n"
    "  nucleus compose up -f shop.toml\n"
    "  nucleus compose -f shop.toml logs -f web\n";

Result<CommandLine> ParseCompose(const std::vector<std::string>& words) {
  return Words{words}.Read();
}

}  // namespace nucleus::front::compose
