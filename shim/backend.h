// What can carry a container: the kernel of the host, or gVisor. The commands talk to one without knowing which; what
// is alike for both (cgroups, state, network, deletion) is runtime/container's and no part of this.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/container/bundle.h"
#include "runtime/container/checkpoint.h"
#include "runtime/container/container.h"
#include "runtime/plan/plan.h"

namespace nucleus::shim {

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual Result<container::Launched> Create(const container::Settings& settings,
                                             const container::CreateOptions& options, container::Bundle bundle) = 0;
  virtual Result<container::Launched> CreateAndStart(const container::Settings& settings,
                                                     const container::CreateOptions& options,
                                                     container::Bundle bundle) = 0;
  virtual Result<> Start(const container::Settings& settings, const std::string& id) = 0;
  virtual Result<> Kill(const container::Settings& settings, const std::string& id, int signal, bool all) = 0;
  virtual Result<container::Launched> Exec(const container::Settings& settings,
                                           const container::ExecOptions& options) = 0;
  virtual Result<> Checkpoint(const container::Settings& settings, const std::string& id,
                              const container::CriuOptions& options) = 0;
  // What of a bundle it carries out otherwise than the plan says, one line each; for explain. An error where create
  // would refuse the bundle.
  virtual Result<std::vector<std::string>> Differences(const container::Bundle& bundle, const plan::Plan& plan) = 0;
  // What of it there is on this host, names and values: for features and, with a sandbox that is tried, for doctor.
  // Nothing where those tell of the host itself.
  virtual Result<std::vector<std::pair<std::string, std::string>>> Describe(bool) {
    return {};
  }
  // What `ps` prints of a container whose processes are not the host's; else nothing.
  virtual Result<std::optional<std::string>> Processes(const container::Settings&, const std::string&, bool) {
    return std::nullopt;
  }
};

// Both of this program; each lives as long as it.
struct Backends {
  Backend& native;
  Backend& gvisor;
};

// The one function that decides: by the annotations of a bundle that is to become a container...
Backend& Route(const Backends& backends, const oci::Annotations& annotations);
// ... and by the state of one that is there. Without a state (there is no such container): native, which says so.
Backend& Route(const Backends& backends, const container::Settings& settings, const std::string& id);

// The kernel's own (native/).
Backend& NativeBackend();
// gVisor: in nucleus-gvisor the backend itself (gvisor/), in nucleus its place, which executes that program with the
// same command line: `argv` is main's.
Backend& GvisorBackend(char** argv);

}  // namespace nucleus::shim
