// What a project has on this host besides its services: a directory in memory with their bundles, one on disk with its
// persistent volumes, and the numbers that its members have on the bridge.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "front/compose/topology.h"
#include "front/program.h"

namespace nucleus::front::compose {

using Numbers = std::map<std::string, std::uint32_t>;  // by service

// Those that are known stay; a new one comes from the name, or is the next that nobody has.
Numbers AssignNumbers(const std::string& project, const std::set<std::string>& services, const Numbers& known,
                      const std::set<std::uint32_t>& taken);

class Project {
 public:
  // Makes nothing.
  static Result<Project> Find(const Globals& globals, const std::string& name);

  // Makes the directory, and keeps others out for as long as this lives.
  Result<> Lock();

  [[nodiscard]] const std::string& name() const {
    return name_;
  }
  // In memory.
  [[nodiscard]] const std::string& directory() const {
    return directory_;
  }
  [[nodiscard]] std::string ServiceId(const std::string& service) const {
    return name_ + "." + service;
  }
  [[nodiscard]] std::string VolumePath(const std::string& volume, bool persistent) const;

  // Of all services that are in a network, whether they are kept yet or not.
  [[nodiscard]] Result<Numbers> NumbersOf(const Topology& topology) const;
  Result<> KeepNumbers(const Numbers& numbers) const;

  // 32 bytes that make the digests of secrets worth nothing to who does not have them; made where there are none.
  [[nodiscard]] Result<std::string> Salt() const;

  // Makes the volumes. An error where one belongs to somebody else.
  [[nodiscard]] Result<> MakeVolumes(const Topology& topology) const;
  // The persistent ones.
  [[nodiscard]] Result<> RemoveVolumes() const;
  // The directory in memory, with all that is in it, and the ephemeral volumes wherever they are.
  Result<> Remove();

 private:
  Project() = default;
  std::string name_;
  std::string directory_;
  std::string volumes_;
  std::string ephemeral_;  // where ephemeral volumes are
  Fd lock_;
};

}  // namespace nucleus::front::compose
