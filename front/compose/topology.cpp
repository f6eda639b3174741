#include "front/compose/topology.h"

#include <algorithm>
#include <array>

#include "base/suggest.h"
#include "front/compose/graph.h"
#include "front/sandbox/egress.h"
#include "front/stable_sort.h"
#include "oci-config/publish.h"
#include "policies/toml.h"

namespace nucleus::front::compose {
namespace {

// Of `nucleus sandbox`, what means the same for a service.
constexpr auto kOptions = std::to_array<std::string_view>({"rootfs",
                                                           "rootfs-overlay",
                                                           "workspace-exec",
                                                           "mount-config",
                                                           "env",
                                                           "memory",
                                                           "cpus",
                                                           "pids",
                                                           "allow",
                                                           "dns",
                                                           "broker",
                                                           "publish",
                                                           "runtime",
                                                           "user",
                                                           "gpu",
                                                           "cdi-dir",
                                                           "seccomp",
                                                           "landlock",
                                                           "egress",
                                                           "hostname",
                                                           "cwd",
                                                           "restart",
                                                           "log-size",
                                                           "log-files",
                                                           "timeout",
                                                           "stop-signal",
                                                           "stop-timeout",
                                                           "health-cmd",
                                                           "health-start-period",
                                                           "health-interval",
                                                           "health-retries",
                                                           "health-timeout"});
constexpr auto kOwn = std::to_array<std::string_view>(
    {"command", "bundle", "mode", "networks", "volume", "secret", "depends_on", "deny"});
// What a bundle does not say by itself.
constexpr auto kWithBundle = std::to_array<std::string_view>(
    {"bundle", "depends_on", "restart", "log-size", "log-files", "timeout", "stop-signal", "stop-timeout", "health-cmd",
     "health-start-period", "health-interval", "health-retries", "health-timeout"});

template <class Names>
bool Has(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

const OptionRow* FindRow(std::string_view key) {
  const auto& rows = SandboxRows();
  const auto row = std::ranges::find_if(rows, [key](const OptionRow& one) { return key == one.name; });
  return row != rows.end() && Has(kOptions, key) ? &*row : nullptr;
}

// Of one that there is.
const OptionRow& RowOf(std::string_view name) {
  return *std::ranges::find_if(SandboxRows(), [name](const OptionRow& one) { return name == one.name; });
}

template <class Map>
std::vector<std::string_view> Keys(const Map& map) {
  std::vector<std::string_view> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) {
    keys.emplace_back(key);
  }
  return keys;
}

std::string Quoted(std::string_view text) {
  return "\"" + std::string{text} + "\"";
}

class Reader {
 public:
  Reader(const toml::table& root, Reading& reading) : root_(root), reading_(reading) {
  }

  void Read(const std::string& name) {
    reading_.topology.name = name;
    OnlyKeys(root_, "", {"name", "services", "networks", "volumes", "secrets"});
    if (const toml::node* node = root_.get("name"); node != nullptr) {
      if (const auto text = Text(*node, "name")) {
        reading_.topology.name = *text;
      }
      if (!IsLabel(reading_.topology.name)) {
        Fail(*node, "name", Quoted(reading_.topology.name) + " must be of a-z, 0-9, \"-\" and \"_\", 63 at most");
      }
    } else if (!IsLabel(name)) {
      Fail({.line = 1, .key = "name"}, "the directory's name " + Quoted(name) +
                                           " cannot be the project's: of a-z, 0-9, \"-\" and \"_\", 63 at most");
    }
    Tables("volumes", [this](const std::string& key, const toml::table& table, const std::string& where, Spot at) {
      ReadVolume(key, table, where, std::move(at));
    });
    Tables("secrets", [this](const std::string& key, const toml::table& table, const std::string& where,
                             const Spot& at) { ReadSecret(key, table, where, at); });
    Tables("networks", [this](const std::string& key, const toml::table& table, const std::string& where, Spot at) {
      OnlyKeys(table, where, {});
      reading_.topology.networks.emplace(key, std::move(at));
    });
    Tables("services", [this](const std::string& key, const toml::table& table, const std::string& where, Spot at) {
      ReadService(key, table, where, std::move(at));
    });
    if (reading_.topology.services.empty() && reading_.problems.empty()) {
      Fail({.line = 1, .key = "services"}, "there is none: [services.NAME]");
    }
    CheckReferences();
    CheckCycles();
    CheckPorts();
  }

 private:
  void Fail(Spot at, std::string message) {
    reading_.problems.push_back({.at = std::move(at), .message = std::move(message)});
  }
  void Fail(const toml::node& node, const std::string& key, std::string message) {
    Fail(At(node, key), std::move(message));
  }
  static Spot At(const toml::node& node, std::string key) {
    return {.line = std::max<std::size_t>(node.source().begin.line, 1), .key = std::move(key)};
  }

  void OnlyKeys(const toml::table& table, const std::string& where, const std::vector<std::string_view>& known) {
    for (const auto& [key, node] : table) {
      if (!Has(known, key.str())) {
        Fail({.line = key.source().begin.line, .key = policies::KeyPath(where, key.str())},
             "unknown key" + Suggestion(key.str(), known));
      }
    }
  }

  template <class Each>
  void Tables(const std::string& kind, Each each) {
    const toml::node* node = root_.get(kind);
    if (node == nullptr) {
      return;
    }
    const toml::table* all = node->as_table();
    if (all == nullptr) {
      Fail(*node, kind, "expected tables: [" + kind + ".NAME]");
      return;
    }
    for (const auto& [key, entry] : *all) {
      const std::string name{key.str()};
      const std::string where = policies::KeyPath(kind, name);
      Spot at{.line = std::max<std::size_t>(key.source().begin.line, 1), .key = where};
      if (!IsLabel(name)) {
        Fail(at, "a name must be of a-z, 0-9, \"-\" and \"_\", 63 at most");
      } else if (const toml::table* table = entry.as_table(); table == nullptr) {
        Fail(at, "expected a table");
      } else {
        each(name, *table, where, std::move(at));
      }
    }
  }

  std::optional<std::string> Text(const toml::node& node, const std::string& key) {
    const toml::value<std::string>* text = node.as_string();
    if (text == nullptr || text->get().find('\0') != std::string::npos) {
      Fail(node, key, "expected a string");
      return {};
    }
    return text->get();
  }

  // Calls `each(text, node, key)`.
  template <class Each>
  void Texts(const toml::node& node, const std::string& key, Each each) {
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      Fail(node, key, "expected an array of strings");
      return;
    }
    for (std::size_t i = 0; i < array->size(); ++i) {
      const toml::node& element = *array->get(i);
      const std::string path = key + "[" + std::to_string(i) + "]";
      if (const auto text = Text(element, path)) {
        each(*text, element, path);
      }
    }
  }

  // ---- the smaller tables

  void ReadVolume(const std::string& name, const toml::table& table, const std::string& where, Spot at) {
    VolumeEntry volume{.at = std::move(at), .persistent = true, .owner = {}};
    OnlyKeys(table, where, {"kind", "owner"});
    if (const toml::node* node = table.get("kind"); node != nullptr) {
      if (const auto kind = Text(*node, where + ".kind")) {
        volume.persistent = *kind == "persistent";
        if (!volume.persistent && *kind != "ephemeral") {
          Fail(*node, where + ".kind",
               "unknown value " + Quoted(*kind) + ": one of persistent, ephemeral" +
                   Suggestion(*kind, {"persistent", "ephemeral"}));
        }
      }
    }
    if (const toml::node* node = table.get("owner"); node != nullptr) {
      if (const auto owner = Text(*node, where + ".owner")) {
        SandboxOptions options;
        if (const Result<> read = RowOf("user").apply(options, *owner); !read) {
          Fail(*node, where + ".owner", read.error().message);
        }
        volume.owner = options.user;
      }
    }
    reading_.topology.volumes.emplace(name, std::move(volume));
  }

  void ReadSecret(const std::string& name, const toml::table& table, const std::string& where, const Spot& at) {
    SecretEntry secret{.at = at, .file = {}, .variable = {}};
    OnlyKeys(table, where, {"file", "env"});
    const toml::node* file = table.get("file");
    const toml::node* variable = table.get("env");
    if ((file == nullptr) == (variable == nullptr)) {
      Fail(at, "must have one of file and env");
    }
    if (file != nullptr) {
      if (const auto text = Text(*file, where + ".file")) {
        const Result<std::string> path = AbsolutePath(*text);
        if (path) {
          secret.file = *path;
        } else {
          Fail(*file, where + ".file", path.error().message);
        }
      }
    } else if (variable != nullptr) {
      if (const auto text = Text(*variable, where + ".env")) {
        secret.variable = *text;
        if (text->empty() || text->find('=') != std::string::npos) {
          Fail(*variable, where + ".env", "must be the name of a variable");
        }
      }
    }
    reading_.topology.secrets.emplace(name, std::move(secret));
  }

  // ---- services

  void ReadService(const std::string& name, const toml::table& table, const std::string& where, Spot at) {
    ServiceEntry& service = reading_.topology.services[name];
    service.at = at;
    service.options.hostname = name;
    service.options.no_terminal = true;
    std::vector<std::string_view> known{kOwn.begin(), kOwn.end()};
    for (const std::string_view option : kOptions) {
      if (FindRow(option) != nullptr) {
        known.push_back(option);
      }
    }
    OnlyKeys(table, where, known);
    const bool bundle = table.get("bundle") != nullptr;
    for (const auto& [key, node] : table) {
      const std::string path = where + "." + std::string{key.str()};
      if (bundle && Has(known, key.str()) && !Has(kWithBundle, key.str())) {
        Fail(node, path, "excluded by bundle, whose config.json says it");
      } else if (const OptionRow* row = FindRow(key.str()); row != nullptr) {
        service.spots.emplace(std::string{key.str()}, At(node, path));
        Apply(*row, node, path, service.options);
      } else if (Has(kOwn, key.str())) {
        ReadOwn(key.str(), node, path, service);
      }
    }
    if (!bundle && table.get("command") == nullptr) {
      Fail(std::move(at), "needs command = [\"PROGRAM\", ...], or bundle = \"DIR\"");
    }
  }

  void Apply(const OptionRow& row, const toml::node& node, const std::string& key, SandboxOptions& options) {
    const auto apply = [&](const std::string& value, const toml::node& at, const std::string& path) {
      if (const Result<> applied = row.apply(options, value); !applied) {
        Fail(at, path, applied.error().message);
      }
    };
    switch (row.kind) {
      case OptionKind::kFlag:
        if (const auto* flag = node.as_boolean(); flag == nullptr) {
          Fail(node, key, "expected true or false");
        } else if (flag->get()) {
          apply("", node, key);
        }
        break;
      case OptionKind::kText:
        if (const auto text = Text(node, key)) {
          apply(*text, node, key);
        }
        break;
      case OptionKind::kInteger:
        if (const auto* number = node.as_integer(); number == nullptr) {
          Fail(node, key, "expected an integer");
        } else {
          apply(std::to_string(number->get()), node, key);
        }
        break;
      case OptionKind::kList:
        Texts(node, key, [&](const std::string& text, const toml::node& at, const std::string& path) {
          apply(text, at, path);
          if (row.name == std::string_view{"allow"}) {
            if (const Result<> good = CheckAllow(text); !good) {
              Fail(at, path, good.error().message);
            }
          }
        });
        break;
    }
  }

  void ReadOwn(std::string_view key, const toml::node& node, const std::string& path, ServiceEntry& service) {
    if (key == "command") {
      Texts(node, path, [&](const std::string& text, const toml::node&, const std::string&) {
        service.options.command.push_back(text);
      });
      if (const toml::array* words = node.as_array(); words != nullptr && words->empty()) {
        Fail(node, path, "must not be empty");
      }
    } else if (key == "bundle") {
      ReadBundle(node, path, service);
    } else if (key == "mode") {
      if (const auto mode = Text(node, path)) {
        service.mode = *mode;
        if (*mode != "agent" && *mode != "strict-agent") {
          Fail(node, path,
               "unknown value " + Quoted(*mode) + ": one of agent, strict-agent; production takes a bundle");
        }
      }
    } else if (key == "networks") {
      Texts(node, path, [&](const std::string& text, const toml::node& at, const std::string& where) {
        if (!service.networks.emplace(text, At(at, where)).second) {
          Fail(at, where, Quoted(text) + " is there twice");
        }
      });
    } else if (key == "volume") {
      Texts(node, path, [&](const std::string& text, const toml::node& at, const std::string& where) {
        ReadVolumeUse(text, At(at, where), service);
      });
    } else if (key == "secret") {
      Texts(node, path, [&](const std::string& text, const toml::node& at, const std::string& where) {
        ReadSecretUse(text, At(at, where), service);
      });
    } else if (key == "deny") {
      Texts(node, path, [&](const std::string& text, const toml::node& at, const std::string& where) {
        if (const Result<> good = CheckDeny(text); !good) {
          Fail(at, where, good.error().message);
        }
        service.options.deny.push_back(text);
      });
      service.spots.emplace("deny", At(node, path));
    } else {
      ReadDependencies(node, path, service);
    }
  }

  void ReadBundle(const toml::node& node, const std::string& path, ServiceEntry& service) {
    const auto text = Text(node, path);
    if (!text) {
      return;
    }
    const Result<std::string> absolute = AbsolutePath(*text);
    if (absolute) {
      service.bundle = *absolute;
      service.spots.emplace("bundle", At(node, path));
    } else {
      Fail(node, path, absolute.error().message);
    }
  }

  // NAME:DEST[:rw] of [volumes], or as of `nucleus sandbox`: a path of the host has a slash.
  void ReadVolumeUse(const std::string& text, Spot at, ServiceEntry& service) {
    const std::size_t colon = text.find(':');
    const std::string source = text.substr(0, colon);
    SandboxOptions options;
    if (const Result<> read = RowOf("volume").apply(options, text); !read) {
      Fail(std::move(at), read.error().message);
      return;
    }
    if (source.find('/') != std::string::npos || source == "." || source == "..") {
      service.options.volumes.push_back(std::move(options.volumes.front()));
      return;
    }
    service.volumes.push_back({.name = source,
                               .destination = options.volumes.front().destination,
                               .writable = options.volumes.front().writable,
                               .at = std::move(at)});
  }

  // NAME or NAME:DEST
  void ReadSecretUse(const std::string& text, Spot at, ServiceEntry& service) {
    const std::size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    SandboxOptions options;
    const std::string destination = colon == std::string::npos ? name : text.substr(colon + 1);
    if (const Result<> read = RowOf("secret").apply(options, "x:" + destination); !read) {
      Fail(std::move(at), "must be NAME or NAME:DEST, where NAME is of [secrets]: " + read.error().message);
      return;
    }
    service.secrets.push_back(
        {.name = name, .destination = options.secrets.front().destination, .writable = false, .at = std::move(at)});
  }

  void ReadDependencies(const toml::node& node, const std::string& path, ServiceEntry& service) {
    if (node.is_array()) {
      Texts(node, path, [&](const std::string& text, const toml::node& at, const std::string& where) {
        if (!service.depends_on.emplace(text, Dependency{.condition = Condition::kStarted, .at = At(at, where)})
                 .second) {
          Fail(at, where, Quoted(text) + " is there twice");
        }
      });
      return;
    }
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      Fail(node, path, "expected [\"SERVICE\", ...] or { SERVICE = \"started\" }");
      return;
    }
    for (const auto& [key, value] : *table) {
      const std::string where = path + "." + std::string{key.str()};
      Dependency dependency{.condition = Condition::kStarted, .at = At(value, where)};
      const auto word = Text(value, where);
      if (word == "healthy") {
        dependency.condition = Condition::kHealthy;
      } else if (word == "completed") {
        dependency.condition = Condition::kCompleted;
      } else if (word && *word != "started") {
        Fail(value, where,
             "unknown value " + Quoted(*word) + ": one of started, healthy, completed" +
                 Suggestion(*word, {"started", "healthy", "completed"}));
      }
      service.depends_on.emplace(std::string{key.str()}, std::move(dependency));
    }
  }

  // ---- what is said in two places

  template <class Map>
  void CheckName(const std::string& name, const Spot& at, const char* kind, const Map& known) {
    if (!known.contains(name)) {
      Fail(at, "there is no [" + std::string{kind} + "." + name + "]" + Suggestion(name, Keys(known)));
    }
  }

  void CheckReferences() {
    const Topology& topology = reading_.topology;
    for (const auto& [name, service] : topology.services) {
      for (const auto& [network, at] : service.networks) {
        CheckName(network, at, "networks", topology.networks);
      }
      for (const Use& use : service.volumes) {
        CheckName(use.name, use.at, "volumes", topology.volumes);
      }
      for (const Use& use : service.secrets) {
        CheckName(use.name, use.at, "secrets", topology.secrets);
      }
      for (const auto& [other, dependency] : service.depends_on) {
        CheckName(other, dependency.at, "services", topology.services);
        const auto found = topology.services.find(other);
        if (dependency.condition == Condition::kCompleted && found != topology.services.end() &&
            found->second.options.restart == Restart::kAlways) {
          Fail(dependency.at, Quoted(other) + " is always started again, so it never completes");
        }
        if (dependency.condition == Condition::kHealthy && found != topology.services.end() &&
            !found->second.spots.contains("health-cmd")) {
          Fail(dependency.at, Quoted(other) + " has no health-cmd, so nobody can know whether it is healthy");
        }
      }
      for (const char* key : {"allow", "deny", "dns", "broker"}) {
        if (const auto spot = service.spots.find(key);
            spot != service.spots.end() && service.spots.contains("egress")) {
          Fail(spot->second, "excluded by egress, which is the whole policy");
        }
      }
      for (const char* key : {"allow", "deny", "dns"}) {
        if (const auto spot = service.spots.find(key);
            spot != service.spots.end() && service.spots.contains("broker")) {
          Fail(spot->second, "excluded by broker, the only thing that can be connected to then");
        }
      }
    }
  }

  void CheckCycles() {
    Graph graph;
    for (const auto& [name, service] : reading_.topology.services) {
      graph[name];
      for (const auto& [other, dependency] : service.depends_on) {
        graph[name].insert(other);
      }
    }
    for (const std::vector<std::string>& cycle : Cycles(graph)) {
      std::string text;
      for (const std::string& name : cycle) {
        text += (text.empty() ? "" : " -> ") + name;
      }
      Fail(reading_.topology.services.at(cycle[0]).depends_on.at(cycle[1]).at, "a cycle: " + text);
    }
  }

  void CheckPorts() {
    struct Taken {
      std::string service;
      std::string text;
      oci::PublishedPort port;
    };
    std::vector<Taken> taken;
    for (const auto& [name, service] : reading_.topology.services) {
      for (const std::string& text : service.options.publish) {
        const auto ports = oci::ParsePublish(text);
        for (const oci::PublishedPort& port : ports ? *ports : std::vector<oci::PublishedPort>{}) {
          const auto other =
              std::ranges::find_if(taken, [&port](const Taken& one) { return oci::Overlap(one.port, port); });
          if (other != taken.end()) {
            Fail(service.spots.at("publish"), Quoted(text) + " and " + Quoted(other->text) + " of " +
                                                  (other->service == name ? "the same service" : other->service) +
                                                  " are the same port of the host");
          } else {
            taken.push_back({.service = name, .text = text, .port = port});
          }
        }
      }
    }
  }

  const toml::table& root_;
  Reading& reading_;
};

}  // namespace

std::string_view ConditionName(Condition condition) {
  switch (condition) {
    case Condition::kHealthy:
      return "healthy";
    case Condition::kCompleted:
      return "completed";
    case Condition::kStarted:
      break;
  }
  return "started";
}

bool IsLabel(std::string_view name) {
  constexpr std::size_t kMost = 63;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kMost && letter(name.front()) &&
         std::ranges::all_of(name, [&letter](char c) { return letter(c) || c == '-' || c == '_'; });
}

Reading ReadTopology(std::string_view text, const std::string& name) {
  Reading reading;
  const policies::TomlReader document{text, ""};
  if (const Result<> parsed = document.Finish(); !parsed) {
    // ":3: what is wrong"
    const std::string& message = parsed.error().message;
    const std::size_t end = message.find(": ", 1);
    reading.problems.push_back({.at = {.line = static_cast<std::size_t>(std::atoi(message.c_str() + 1)), .key = {}},
                                .message = end == std::string::npos ? message : message.substr(end + 2)});
    return reading;
  }
  Reader{document.root(), reading}.Read(name);
  StableSort(reading.problems, [](const Problem& problem) { return std::pair{problem.at.line, problem.at.key}; });
  return reading;
}

}  // namespace nucleus::front::compose
