// update: new limits for a container that is there.

#include "runtime/container/container.h"
#include "runtime/container/host.h"
#include "runtime/container/query.h"

namespace nucleus::container {

Result<> Update(const Settings& settings, const std::string& id, const oci::Resources& resources) {
  const Opened opened = TRY(OpenContainer(settings, id, true));
  if (opened.status == Status::kStopped || opened.status == Status::kCreating) {
    return std::unexpected(Failure("container not running", ESRCH));
  }
  if (opened.state.cgroups.empty()) {
    return std::unexpected(Failure("the container was created without cgroups: it has no limits to update", ENOTSUP));
  }
  std::vector<std::string> warnings;
  const cgroup::Host host = TRY(cgroup::ReadHost());
  TRY(cgroup::Update(host, opened.state.cgroups, resources, warnings));
  for (const std::string& warning : warnings) {
    settings.warn(warning);
  }
  return {};
}

}  // namespace nucleus::container
