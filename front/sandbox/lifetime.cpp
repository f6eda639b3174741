#include "front/sandbox/lifetime.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <vector>

#include "front/sandbox/bundle.h"
#include "front/sandbox/memory_directory.h"
#include "front/sandbox/tree.h"
#include "shim/cli/progress.h"

namespace nucleus::front {
namespace {

Result<std::string> NewId() {
  std::array<unsigned char, 6> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return std::unexpected(SysError("getrandom", ""));
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id = "sandbox-";
  for (const unsigned char byte : bytes) {
    id += kDigits[byte >> 4U];
    id += kDigits[byte & 0xfU];
  }
  return id;
}

bool IsCopied(const SandboxOptions& options) {
  return !options.workspace.empty() && options.workspace_mode == WorkspaceMode::kCopy;
}

}  // namespace

Result<Sandbox> Sandbox::Plan(const Globals& globals, const SandboxOptions& options, const Ids& ids) {
  Sandbox sandbox{globals, options, ids};
  sandbox.id_ = options.name.empty() ? TRY(NewId()) : options.name;
  sandbox.mark_ = TRY(NewId());
  const std::string memory = TRY(MemoryDirectory());
  sandbox.directory_ = memory + "/" + sandbox.id_;
  sandbox.draft_ = memory + "/.draft-" + sandbox.mark_;
  return sandbox;
}

// Whole with its mark, or an error.
Result<> Sandbox::MakeDirectory() const {
  constexpr mode_t kMode = 0711;
  if (::mkdir(draft_.c_str(), kMode) != 0 || ::mkdir((draft_ + "/" + mark_).c_str(), kMode) != 0) {
    return std::unexpected(SysError("mkdir", draft_));
  }
  if (::renameat2(AT_FDCWD, draft_.c_str(), AT_FDCWD, directory_.c_str(), RENAME_NOREPLACE) != 0) {
    const Error error =
        errno == EEXIST ? Failure("sandbox: " + id_ + " exists already", EEXIST) : SysError("rename", draft_);
    (void)RemoveTree(draft_);
    return std::unexpected(error);
  }
  return {};
}

Result<> Sandbox::Prepare(bool terminal) {
  const bool copied = IsCopied(*options_);
  const bool copied_root = !options_->rootfs.empty() && !options_->overlay_rootfs;
  const std::string memory = directory_.substr(0, directory_.rfind('/'));
  if (copied_root) {
    TRY(RunsPrograms(memory, "--rootfs"));
  }
  if (copied && options_->workspace_exec) {
    TRY(RunsPrograms(memory, "--workspace-exec"));
  }
  // Before anything is there that would have to be removed, whatever becomes of this process.
  watcher_ =
      TRY(Watcher::Start(*globals_, id_, directory_, draft_, mark_, copied ? options_->workspace : std::string{}));
  TRY(MakeDirectory());
  made_ = true;
  BundlePlace place{.path = directory_, .printed = false, .terminal = terminal, .workspace = {}};
  if (copied) {
    const shim::Progress progress{"copying the workspace", directory_};
    place.workspace = directory_ + "/workspace";
    workspace_ = TRY_IN("--workspace", WorkspaceCopy::Make(options_->workspace, place.workspace, *ids_));
  }
  std::optional<shim::Progress> progress;
  if (copied_root) {
    progress.emplace("copying the root filesystem", directory_);
  }
  return WriteBundle(*options_, *ids_, place);
}

Result<> Sandbox::Return(const std::function<void(const std::string&)>& warn) {
  if (!workspace_) {
    return {};
  }
  std::vector<std::string> left_out;
  const shim::Progress progress{"writing the workspace back", {}};
  const Result<> written = workspace_->WriteBackChanges(id_, left_out);
  for (const std::string& path : left_out) {
    warn("workspace: " + path + " is neither a file, a directory nor a link, and is left out");
  }
  if (written) {
    return {};
  }
  const std::string kept = directory_ + ".kept";
  if (::rename((directory_ + "/workspace").c_str(), kept.c_str()) != 0) {
    return std::unexpected(SysError("rename", kept));
  }
  return std::unexpected(Failure("workspace: " + written.error().message +
                                 ": nothing was written back, the sandbox's copy is in " + kept));
}

Result<> Sandbox::Remove() {
  Result<> removed;
  if (made_) {
    made_ = false;
    // Under the name that is this one's whatever is left of it.
    removed = ::rename(directory_.c_str(), draft_.c_str()) == 0 ? RemoveTree(draft_)
                                                                : std::unexpected(SysError("rename", directory_));
  }
  // Now, not by its destructor, which a process that just ends does not run: it would delete what may be another's by
  // then, of the same name.
  watcher_.reset();
  return removed;
}

Words Sandbox::RunnersWords() const {
  if (!options_->learn.empty()) {
    return {"learn", "--bundle", directory_, "-o", options_->learn, id_};
  }
  return {"run", "--bundle", directory_, id_};
}

}  // namespace nucleus::front
