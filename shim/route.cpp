#include "runtime/container/state_dir.h"
#include "shim/backend.h"

namespace nucleus::shim {

Backend& Route(const Backends& backends, const oci::Annotations& annotations) {
  return annotations.runtime == oci::Runtime::kGvisor ? backends.gvisor : backends.native;
}

Backend& Route(const Backends& backends, const container::Settings& settings, const std::string& id) {
  if (!container::ValidateId(id)) {
    return backends.native;
  }
  const Result<container::StateDir> directory = container::StateDir::Open(settings.root, id);
  const Result<oci::State> state = directory ? directory->ReadState() : std::unexpected(directory.error());
  return state && !state->gvisor.id.empty() ? backends.gvisor : backends.native;
}

}  // namespace nucleus::shim
