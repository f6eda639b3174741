#include "front/sandbox/workspace_copy.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "front/sandbox/tree.h"
#include "front/sandbox/write_back.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMostNamed = 10;

std::string Listed(const std::vector<std::string>& paths) {
  std::string text;
  for (std::size_t i = 0; i < paths.size() && i < kMostNamed; ++i) {
    text += (text.empty() ? "" : ", ") + paths[i];
  }
  return paths.size() > kMostNamed ? text + " and " + std::to_string(paths.size() - kMostNamed) + " more" : text;
}

}  // namespace

Result<WorkspaceCopy> WorkspaceCopy::Make(const std::string& workspace, const std::string& target, const Ids& ids) {
  WorkspaceCopy result;
  result.tree_ = TRY(sys::Open(workspace, O_RDONLY | O_DIRECTORY));
  TRY(CompleteWriteBack(result.tree_.get()));
  // Before it is copied: what changes meanwhile is somebody else's change.
  result.tree_before_ = TRY(TakeSnapshot(result.tree_.get()));
  constexpr mode_t kMode = 0700;
  if (::mkdir(target.c_str(), kMode) != 0) {
    return std::unexpected(SysError("mkdir", target));
  }
  TRY(CopyForSandbox(workspace, target, ids, false));
  result.copy_ = TRY(sys::Open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  result.copy_before_ = TRY(TakeSnapshot(result.copy_.get()));
  return result;
}

Result<> WorkspaceCopy::WriteBackChanges(const std::string& id, std::vector<std::string>& left_out) {
  const TreeChanges changes = Compare(copy_before_, TRY(TakeSnapshot(copy_.get())));
  left_out = changes.left_out;
  if (changes.empty()) {
    return {};
  }
  const Snapshot now = TRY(TakeSnapshot(tree_.get()));
  if (const std::vector<std::string> conflicts = Conflicts(changes, tree_before_, now); !conflicts.empty()) {
    return std::unexpected(Failure("changed here and in the sandbox: " + Listed(conflicts), EEXIST));
  }
  return WriteBack(tree_.get(), copy_.get(), changes, id);
}

}  // namespace nucleus::front
