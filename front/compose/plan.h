// What is there and what is asked for → what is to be done. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace nucleus::front::compose {

// Of a service that there is.
struct Present {
  std::string digest;
  bool over = false;   // it has ended, or its supervisor
  bool ended = false;  // as it was meant to: by itself, with its exit status
  int exit_status = 0;
};

enum class Action { kKeep, kCreate, kChange, kStart, kRemove };
std::string_view ActionName(Action action);

struct Step {
  std::string service;
  Action action = Action::kKeep;
  std::string reason;
};

// By the services' names. `wanted`: service → digest.
std::vector<Step> MakePlan(const std::map<std::string, std::string>& wanted,
                           const std::map<std::string, Present>& present);

// For people: a line each. "nothing to do" where all are kept.
std::string PlanText(const std::vector<Step>& steps);
std::string PlanJson(const std::string& project, const std::vector<Step>& steps);

}  // namespace nucleus::front::compose
