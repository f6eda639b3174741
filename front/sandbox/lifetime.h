// A sandbox from its directory to its removal, whoever waits for it in between.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "front/program.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/options.h"
#include "front/sandbox/watcher.h"
#include "front/sandbox/workspace_copy.h"

namespace nucleus::front {

class Sandbox {
 public:
  // Nothing is made yet. All three live longer.
  static Result<Sandbox> Plan(const Globals& globals, const SandboxOptions& options, const Ids& ids);

  // Makes its directory, its copies and its bundle; Remove is to be called, whatever becomes of it. From here on a
  // watcher cleans up after a caller that is killed.
  Result<> Prepare(bool terminal);
  // In the process that is about to become `nucleus run`.
  [[nodiscard]] bool Tell(pid_t runner) const {
    return watcher_->Tell(runner);
  }
  // Once nothing of it runs: writes a copied workspace back. A copy that cannot be is somebody's work: it stays.
  Result<> Return(const std::function<void(const std::string&)>& warn);
  Result<> Remove();

  [[nodiscard]] const std::string& id() const {
    return id_;
  }
  [[nodiscard]] const std::string& directory() const {
    return directory_;
  }
  // What nucleus is called with.
  [[nodiscard]] Words RunnersWords() const;

 private:
  Sandbox(const Globals& globals, const SandboxOptions& options, const Ids& ids)
      : globals_(&globals), options_(&options), ids_(&ids) {
  }
  [[nodiscard]] Result<> MakeDirectory() const;

  const Globals* globals_;
  const SandboxOptions* options_;
  const Ids* ids_;
  std::string id_;
  std::string mark_;
  std::string directory_;
  std::string draft_;
  std::optional<Watcher> watcher_;
  std::optional<WorkspaceCopy> workspace_;
  bool made_ = false;
};

}  // namespace nucleus::front
