// What each mode takes, compared with what is there.

#include <algorithm>

#include "base/error.h"
#include "runtime/doctor/facts.h"

namespace nucleus::doctor {
namespace {

using Words = std::vector<std::string>;

std::string NamespaceRemedy(const Facts& facts, std::string_view name) {
  if (name == "user" || !facts.root) {
    if (facts.max_user_namespaces == "0") {
      return "sysctl user.max_user_namespaces is 0: raise it";
    }
    if (!facts.restrictions.empty()) {
      return "let the caller make user namespaces; now " + facts.restrictions;
    }
  }
  return "use a kernel with this namespace, and run outside of a sandbox that forbids it";
}

void AddNamespaces(const Facts& facts, bool user, Words& lacks) {
  for (const Try& made : facts.namespaces) {
    if (!made.works() && (user || std::string_view{made.name} != "user")) {
      lacks.push_back("no " + std::string{made.name} + " namespace can be made (" + ErrnoText(made.error) +
                      "): " + NamespaceRemedy(facts, made.name));
    }
  }
}

void AddLimits(const Facts& facts, Words& lacks) {
  for (const char* controller : {"memory", "pids"}) {
    if (!std::ranges::binary_search(facts.controllers, controller)) {
      lacks.push_back(std::string{"no "} + controller + " controller for the caller's cgroups: " +
                      (facts.root ? "boot with it enabled, and mount cgroup2 or its hierarchy"
                                  : "have systemd delegate it (Delegate=yes), or run as root"));
    }
  }
}

void AddLandlock(const Facts& facts, int least, Words& lacks) {
  if (facts.landlock_abi < least) {
    lacks.push_back(
        "Landlock's ABI is " + std::to_string(facts.landlock_abi) + ", needed is " + std::to_string(least) +
        (facts.landlock_abi == 0 ? ": boot with lsm=landlock,... on a kernel that has it" : ": use a newer kernel"));
  }
}

bool HasFilters(const Facts& facts) {
  return facts.seccomp_actions.find("errno") != std::string::npos;
}

void AddSeccomp(const Facts& facts, Words& lacks) {
  if (!HasFilters(facts)) {
    lacks.emplace_back("no seccomp filters: use a kernel with CONFIG_SECCOMP_FILTER");
  }
}

}  // namespace

Words Lacks(const Facts& facts, For mode) {
  Words lacks;
  for (const Try& call : facts.calls) {
    if (!call.works()) {
      lacks.push_back(std::string{call.name} +
                      " is not there: use Linux 5.12 or newer, outside of a sandbox that hides it");
    }
  }
  const bool strict = mode == For::kStrictAgent || mode == For::kProduction;
  if (mode == For::kPlain) {
    // A bundle without a mount namespace is nothing that anybody runs; of an ordinary user's the user namespace is
    // part.
    for (const Try& made : facts.namespaces) {
      const std::string_view name{made.name};
      if (!made.works() && (name == "mnt" || (name == "user" && !facts.root))) {
        lacks.push_back("no " + std::string{name} + " namespace can be made (" + ErrnoText(made.error) +
                        "): " + NamespaceRemedy(facts, name));
      }
    }
    return lacks;
  }
  AddNamespaces(facts, strict || !facts.root, lacks);
  if (!strict) {
    return lacks;
  }
  AddSeccomp(facts, lacks);
  constexpr int kProductionAbi = 3;
  AddLandlock(facts, mode == For::kProduction ? kProductionAbi : 1, lacks);
  AddLimits(facts, lacks);
  return lacks;
}

Words Degrades(const Facts& facts) {
  Words lacks;
  AddSeccomp(facts, lacks);
  AddLandlock(facts, 1, lacks);
  AddLimits(facts, lacks);
  return lacks;
}

}  // namespace nucleus::doctor
