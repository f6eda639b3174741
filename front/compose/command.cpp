#include "front/compose/command.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ranges>

#include "base/fd.h"
#include "base/json_writer.h"
#include "base/one_line.h"
#include "base/suggest.h"
#include "front/compose/launch.h"
#include "front/compose/parse.h"
#include "front/compose/plan.h"
#include "front/compose/project.h"
#include "front/compose/show.h"
#include "front/compose/topology.h"
#include "front/compose/up.h"
#include "front/stable_sort.h"
#include "shim/cli/log.h"
#include "shim/cli/telemetry.h"

namespace nucleus::front::compose {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;

std::string Line(const std::string& file, const Problem& problem) {
  return OneLine(file + ":" + std::to_string(problem.at.line) + ": " + problem.at.key +
                 (problem.at.key.empty() ? "" : ": ") + problem.message);
}

// Reads the file and goes to its directory, which relative paths in it start at.
Result<Reading> Load(const std::string& file) {
  const std::string text = TRY(ReadFile(file, kMaxFile));
  const std::unique_ptr<char, void (*)(void*)> real{::realpath(file.c_str(), nullptr), std::free};
  if (!real) {
    return std::unexpected(SysError("realpath", file));
  }
  const std::string path{real.get()};
  const std::string directory = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  if (::chdir(directory.c_str()) != 0) {
    return std::unexpected(SysError("chdir", directory));
  }
  Reading reading = ReadTopology(text, directory.substr(directory.rfind('/') + 1));
  if (reading.problems.empty()) {
    reading.problems = LookAtHost(reading.topology);
    StableSort(reading.problems, [](const Problem& problem) { return problem.at.line; });
  }
  return reading;
}

void Tell(const std::string& file, const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    shim::Log(shim::Level::kError, Line(file, problem));
  }
}

Result<int> Validate(const CommandLine& line) {
  const Reading reading = TRY(Load(line.file));
  const bool valid = reading.problems.empty();
  if (!line.json) {
    Tell(line.file, reading.problems);
    return valid ? 0 : 1;
  }
  JsonWriter out{2};
  out.BeginObject();
  out.Key("file").String(line.file);
  out.Key("name").String(reading.topology.name);
  out.Key("valid").Bool(valid);
  out.Key("errors").BeginArray();
  for (const Problem& problem : reading.problems) {
    out.BeginObject();
    out.Key("line").Uint(problem.at.line);
    out.Key("key").String(problem.at.key);
    out.Key("message").String(problem.message);
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
  TRY(WriteAll(STDOUT_FILENO, out.Take() + "\n", "stdout"));
  return valid ? 0 : 1;
}

// Without it nothing is done.
Result<std::optional<Topology>> Valid(const CommandLine& line) {
  Reading reading = TRY(Load(line.file));
  if (!reading.problems.empty()) {
    Tell(line.file, reading.problems);
    return std::optional<Topology>{};
  }
  return std::optional{std::move(reading.topology)};
}

Result<int> Plan(const Globals& globals, const CommandLine& line) {
  const std::optional<Topology> topology = TRY(Valid(line));
  if (!topology) {
    return 1;
  }
  const Project project = TRY(Project::Find(globals, topology->name));
  const Numbers numbers = TRY(project.NumbersOf(*topology));
  const std::vector<Wanted> wanted = TRY(WantedServices(project, *topology, numbers));
  const auto present = TRY(PresentServices(globals, topology->name));
  const std::vector<Step> steps = TRY(PlanOf(present, wanted));
  TRY(WriteAll(STDOUT_FILENO, line.json ? PlanJson(topology->name, steps) : PlanText(steps), "stdout"));
  return 0;
}

Result<int> RaiseAll(const Globals& globals, const CommandLine& line) {
  const std::optional<Topology> topology = TRY(Valid(line));
  if (!topology) {
    return 1;
  }
  shim::telemetry::NoteProject(topology->name);
  Project project = TRY(Project::Find(globals, topology->name));
  TRY(project.Lock());
  const Result<> done = Up(globals, project, *topology);
  if (!done && TRY(PresentServices(globals, topology->name)).empty()) {
    // As before there is nothing.
    TRY(project.Remove());
  }
  TRY(done);
  return 0;
}

// Of what runs the name is enough: the file may have become worse since.
Result<std::string> NameIn(const CommandLine& line, std::vector<std::string>& named) {
  const Reading reading = TRY(Load(line.file));
  if (!IsLabel(reading.topology.name)) {
    Tell(line.file, reading.problems);
    return std::unexpected(Failure("the file does not say which project it is", EINVAL));
  }
  for (const auto& [name, service] : reading.topology.services) {
    named.push_back(name);
  }
  return reading.topology.name;
}

Result<int> Ps(const Globals& globals, const CommandLine& line) {
  std::vector<std::string> named;
  const std::string project = TRY(NameIn(line, named));
  const auto present = TRY(PresentServices(globals, project));
  TRY(WriteAll(STDOUT_FILENO, line.json ? PsJson(project, present, named) : PsText(present, named), "stdout"));
  return 0;
}

Result<int> Logs(const Globals& globals, const CommandLine& line) {
  std::vector<std::string> named;
  const std::string project = TRY(NameIn(line, named));
  auto present = TRY(PresentServices(globals, project));
  for (const std::string& service : line.services) {
    if (!present.contains(service)) {
      const auto keys = std::views::keys(present);
      const std::vector<std::string_view> names(keys.begin(), keys.end());
      return std::unexpected(Failure("there is no service " + service + Suggestion(service, names), ENOENT));
    }
  }
  if (!line.services.empty()) {
    std::erase_if(present, [&line](const auto& entry) {
      return std::ranges::find(line.services, entry.first) == line.services.end();
    });
  }
  TRY(ShowLogs(globals, present, line.last, line.follow));
  return 0;
}

Result<int> EndAll(const Globals& globals, const CommandLine& line) {
  std::vector<std::string> named;
  const std::string name = TRY(NameIn(line, named));
  shim::telemetry::NoteProject(name);
  Project project = TRY(Project::Find(globals, name));
  TRY(project.Lock());
  TRY(Down(globals, project, line.volumes));
  return 0;
}

Result<int> Run(const Globals& globals, const CommandLine& line) {
  switch (line.verb) {
    case Verb::kValidate:
      return Validate(line);
    case Verb::kPlan:
      return Plan(globals, line);
    case Verb::kUp:
      shim::telemetry::Begin("compose up");
      shim::telemetry::PassOn();
      return RaiseAll(globals, line);
    case Verb::kPs:
      return Ps(globals, line);
    case Verb::kLogs:
      return Logs(globals, line);
    case Verb::kDown:
      shim::telemetry::Begin("compose down");
      shim::telemetry::PassOn();
      return EndAll(globals, line);
    case Verb::kHelp:
      break;
  }
  TRY(WriteAll(STDOUT_FILENO, kComposeHelp, "stdout"));
  return 0;
}

}  // namespace

Result<int> RunCompose(const Globals& globals, const Words& words) {
  // For the units that `up` makes.
  if (words.size() == 2 && words[0] == "supervise") {
    return TRY_IN("compose", Supervise(globals, words[1]));
  }
  const CommandLine line = TRY(ParseCompose(words));
  return TRY_IN("compose", Run(globals, line));
}

}  // namespace nucleus::front::compose
