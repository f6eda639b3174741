// What `nucleus compose` is asked for: services, networks, volumes and secrets out of one TOML document.
//
//   name = "shop"
//   [services.web]
//   rootfs = "images/web"
//   command = ["/bin/web"]
//   publish = ["8080:80"]
//   networks = ["front"]
//   depends_on = { db = "healthy" }
//   [services.db]
//   rootfs = "images/db"
//   command = ["/bin/db"]
//   networks = ["front"]
//   volume = ["data:/var/lib/db:rw"]
//   secret = ["password"]
//   health-cmd = "/bin/db ping"
//   [networks.front]
//   [volumes.data]
//   [secrets.password]
//   file = "password.txt"
//
// A service's options are those of `nucleus sandbox` (front/sandbox/options.h) by the same names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "front/sandbox/options.h"

namespace nucleus::front::compose {

// Where something stands in the document.
struct Spot {
  std::size_t line = 1;
  std::string key;  // "services.web.volume[0]"
};

struct Problem {
  Spot at;
  std::string message;
};

enum class Condition { kStarted, kHealthy, kCompleted };
std::string_view ConditionName(Condition condition);

struct Dependency {
  Condition condition = Condition::kStarted;
  Spot at;
};

struct Use {
  std::string name;         // of a volume or a secret
  std::string destination;  // absolute inside
  bool writable = false;
  Spot at;
};

struct ServiceEntry {
  Spot at;
  SandboxOptions options;
  std::string bundle;  // absolute; empty: one is written out of the options
  std::string mode = "strict-agent";
  std::map<std::string, Spot> networks;
  std::vector<Use> volumes;  // of [volumes]; directories of the host are among the options
  std::vector<Use> secrets;
  std::map<std::string, Dependency> depends_on;
  std::map<std::string, Spot> spots;  // of the options, by their names
};

struct VolumeEntry {
  Spot at;
  bool persistent = true;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> owner;  // on the host
};

struct SecretEntry {
  Spot at;
  std::string file;      // absolute, or
  std::string variable;  // of the caller's environment
};

struct Topology {
  std::string name;
  std::map<std::string, ServiceEntry> services;
  std::map<std::string, Spot> networks;
  std::map<std::string, VolumeEntry> volumes;
  std::map<std::string, SecretEntry> secrets;
};

struct Reading {
  Topology topology;
  std::vector<Problem> problems;  // by their lines; with one the topology is not to be used
};

// All that is wrong with it, not the first alone; nothing but a document that is no TOML ends the reading. `name` is
// the project's where the document has none. Relative paths are the working directory's.
Reading ReadTopology(std::string_view text, const std::string& name);

// What the host has to have: root filesystems, bundles, policies, secrets.
std::vector<Problem> LookAtHost(const Topology& topology);

// a-z, 0-9, '-' and '_', up to 63 of them: a label of a name, and a part of a container's id.
bool IsLabel(std::string_view name);

}  // namespace nucleus::front::compose
