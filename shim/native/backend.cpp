#include "shim/backend.h"

namespace nucleus::shim {
namespace {

class Native final : public Backend {
 public:
  Result<container::Launched> Create(const container::Settings& settings, const container::CreateOptions& options,
                                     container::Bundle bundle) override {
    return container::Create(settings, options, std::move(bundle));
  }
  Result<container::Launched> CreateAndStart(const container::Settings& settings,
                                             const container::CreateOptions& options,
                                             container::Bundle bundle) override {
    return container::CreateAndStart(settings, options, std::move(bundle));
  }
  Result<> Start(const container::Settings& settings, const std::string& id) override {
    return container::Start(settings, id);
  }
  Result<> Kill(const container::Settings& settings, const std::string& id, int signal, bool all) override {
    return container::Kill(settings, id, signal, all);
  }
  Result<container::Launched> Exec(const container::Settings& settings,
                                   const container::ExecOptions& options) override {
    return container::Exec(settings, options);
  }
  Result<> Checkpoint(const container::Settings& settings, const std::string& id,
                      const container::CriuOptions& options) override {
    return container::Checkpoint(settings, id, options);
  }
  Result<std::vector<std::string>> Differences(const container::Bundle&, const plan::Plan&) override {
    return std::vector<std::string>{};
  }
};

}  // namespace

Backend& NativeBackend() {
  static Native backend;
  return backend;
}

}  // namespace nucleus::shim
