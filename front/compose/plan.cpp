#include "front/compose/plan.h"

#include <algorithm>

#include "base/json_writer.h"

namespace nucleus::front::compose {
namespace {

const char* SignOf(Action action) {
  switch (action) {
    case Action::kCreate:
      return "+ ";
    case Action::kChange:
      return "~ ";
    case Action::kStart:
      return "> ";
    case Action::kRemove:
      return "- ";
    case Action::kKeep:
      break;
  }
  return "  ";
}

Step StepOf(const std::string& service, const std::string& digest, const Present& there) {
  if (there.digest != digest) {
    return {.service = service, .action = Action::kChange, .reason = "its bundle is another"};
  }
  if (!there.over) {
    return {.service = service, .action = Action::kKeep, .reason = "as it is"};
  }
  if (there.ended && there.exit_status == 0) {
    return {.service = service, .action = Action::kKeep, .reason = "completed"};
  }
  return {.service = service,
          .action = Action::kStart,
          .reason = there.ended ? "ended with status " + std::to_string(there.exit_status) : "its supervisor is gone"};
}

}  // namespace

std::string_view ActionName(Action action) {
  switch (action) {
    case Action::kCreate:
      return "create";
    case Action::kChange:
      return "change";
    case Action::kStart:
      return "start";
    case Action::kRemove:
      return "remove";
    case Action::kKeep:
      break;
  }
  return "keep";
}

std::vector<Step> MakePlan(const std::map<std::string, std::string>& wanted,
                           const std::map<std::string, Present>& present) {
  std::vector<Step> steps;
  for (const auto& [service, digest] : wanted) {
    const auto there = present.find(service);
    steps.push_back(there == present.end() ? Step{.service = service, .action = Action::kCreate, .reason = "not there"}
                                           : StepOf(service, digest, there->second));
  }
  for (const auto& [service, there] : present) {
    if (!wanted.contains(service)) {
      steps.push_back({.service = service, .action = Action::kRemove, .reason = "not in the file"});
    }
  }
  std::ranges::sort(steps, {}, &Step::service);
  return steps;
}

std::string PlanText(const std::vector<Step>& steps) {
  std::string text;
  bool nothing = true;
  for (const Step& step : steps) {
    nothing = nothing && step.action == Action::kKeep;
    text +=
        SignOf(step.action) + step.service + ": " + std::string{ActionName(step.action)} + " (" + step.reason + ")\n";
  }
  return text + (nothing ? "nothing to do\n" : "");
}

std::string PlanJson(const std::string& project, const std::vector<Step>& steps) {
  JsonWriter out{2};
  out.BeginObject();
  out.Key("project").String(project);
  out.Key("changes").Uint(static_cast<std::uint64_t>(
      std::ranges::count_if(steps, [](const Step& step) { return step.action != Action::kKeep; })));
  out.Key("services").BeginArray();
  for (const Step& step : steps) {
    out.BeginObject();
    out.Key("service").String(step.service);
    out.Key("action").String(ActionName(step.action));
    out.Key("reason").String(step.reason);
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
  return out.Take() + "\n";
}

}  // namespace nucleus::front::compose
