#include "shim/backend.h"

#include "shim/gvisor/control.h"
#include "shim/gvisor/create.h"
#include "shim/gvisor/describe.h"
#include "shim/gvisor/differences.h"
#include "shim/gvisor/runsc.h"
#include "shim/gvisor/sandbox.h"

namespace nucleus::shim {
namespace {

class Gvisor final : public Backend {
 public:
  Result<container::Launched> Create(const container::Settings& settings, const container::CreateOptions& options,
                                     container::Bundle bundle) override {
    return gvisor::Create(settings, options, std::move(bundle), false);
  }
  Result<container::Launched> CreateAndStart(const container::Settings& settings,
                                             const container::CreateOptions& options,
                                             container::Bundle bundle) override {
    return gvisor::Create(settings, options, std::move(bundle), true);
  }
  Result<> Start(const container::Settings& settings, const std::string& id) override {
    return gvisor::Start(settings, id);
  }
  Result<> Kill(const container::Settings& settings, const std::string& id, int signal, bool all) override {
    return gvisor::Kill(settings, id, signal, all);
  }
  Result<container::Launched> Exec(const container::Settings& settings,
                                   const container::ExecOptions& options) override {
    return gvisor::Exec(settings, options);
  }
  Result<> Checkpoint(const container::Settings&, const std::string&, const container::CriuOptions&) override {
    return std::unexpected(Failure("checkpoint: not for a container that gVisor carries", ENOTSUP));
  }
  Result<std::vector<std::string>> Differences(const container::Bundle& bundle, const plan::Plan& plan) override {
    const gvisor::Runsc runsc = TRY(gvisor::FindRunsc(bundle.annotations.gvisor_runsc, bundle.path));
    std::vector<std::string> lines = {"runsc " + runsc.abilities.version + ", " + runsc.path +
                                      "@sha256:" + runsc.digest};
    const gvisor::Checked checked = TRY(gvisor::CheckBundle(bundle, plan, runsc, {}));
    for (const oci::Degradation& degradation : checked.degradations) {
      lines.push_back(degradation.stage + ": " + degradation.reason);
    }
    for (const gvisor::Difference& seen : checked.seen) {
      lines.push_back(seen.stage + " (seen inside): " + seen.key + ": " + seen.reason);
    }
    return lines;
  }
  Result<std::vector<std::pair<std::string, std::string>>> Describe(bool tries) override {
    return gvisor::Describe(tries);
  }
  Result<std::optional<std::string>> Processes(const container::Settings& settings, const std::string& id,
                                               bool json) override {
    return gvisor::Processes(settings, id, json);
  }
};

}  // namespace

Backend& GvisorBackend(char**) {
  static Gvisor backend;
  return backend;
}

}  // namespace nucleus::shim
