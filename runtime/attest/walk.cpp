#include "runtime/attest/walk.h"

#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace nucleus::attest {
namespace {

// The paths that are still to be visited, last in first out: what waits is the unvisited rest of the directories on the
// way to where the work is, not a whole level of the tree.
class Pending {
 public:
  void Push(std::vector<std::string>& paths) {
    {
      const std::lock_guard lock{mutex_};
      std::ranges::move(paths, std::back_inserter(paths_));
    }
    paths.clear();
    changed_.notify_all();
  }

  // Waits for a path; false when there is none and none can come any more. Done follows each path.
  bool Pop(std::string& path) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return stopped_ || !paths_.empty() || busy_ == 0; });
    if (stopped_ || paths_.empty()) {
      return false;
    }
    path = std::move(paths_.back());
    paths_.pop_back();
    ++busy_;
    return true;
  }

  void Done() {
    const std::lock_guard lock{mutex_};
    if (--busy_ == 0 && paths_.empty()) {
      changed_.notify_all();
    }
  }

  // The first error is the walk's.
  void Stop(Error error) {
    const std::lock_guard lock{mutex_};
    if (!stopped_) {
      stopped_ = true;
      error_ = std::move(error);
    }
    changed_.notify_all();
  }

  // After all threads have ended.
  Result<> Outcome() {
    return stopped_ ? Result<>{std::unexpected(std::move(error_))} : Result<>{};
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> paths_;
  std::size_t busy_ = 0;
  bool stopped_ = false;
  Error error_;
};

// What is wrong with this process, and not with the entry.
bool IsOwnTrouble(int code) {
  return code == EMFILE || code == ENFILE || code == ENOMEM || code == EBADF;
}

Result<> VisitOne(Inspector& inspector, Visitor& visitor, std::string path, std::vector<std::string>& children) {
  Handle handle = TRY(inspector.Open(std::move(path)));
  if (!TRY(visitor.Visit(inspector, handle)) || !handle.Is(S_IFDIR)) {
    return {};
  }
  const std::string prefix = handle.path == "/" ? "/" : handle.path + "/";
  return inspector.List(handle, [&](std::string_view name) -> Result<> {
    std::string child = prefix;
    child += name;
    if (visitor.Wants(child)) {
      children.push_back(std::move(child));
    }
    return {};
  });
}

void Work(const TreeRoot& tree, int own_fds, Visitor& visitor, Pending& pending) {
  Inspector inspector{tree, own_fds};
  std::vector<std::string> children;
  std::string path;
  while (pending.Pop(path)) {
    Result<> visited = VisitOne(inspector, visitor, path, children);
    if (!visited && !IsOwnTrouble(visited.error().code)) {
      children.clear();
      visited = visitor.Trouble(path, std::move(visited).error());
    }
    if (!visited) {
      pending.Stop(std::move(visited).error());
    } else if (!children.empty()) {
      pending.Push(children);
    }
    pending.Done();
  }
}

}  // namespace

unsigned ThreadCount() {
  cpu_set_t processors;
  if (::sched_getaffinity(0, sizeof processors, &processors) != 0) {
    return 1;
  }
  return std::clamp(static_cast<unsigned>(CPU_COUNT(&processors)), 1U, kMostThreads);
}

Result<> Walk(const TreeRoot& tree, unsigned threads, Visitor& visitor) {
  const Fd own_fds = TRY(OpenOwnFds());
  Pending pending;
  std::vector<std::string> first{"/"};
  pending.Push(first);
  std::vector<std::thread> others;
  const auto work = [&] { Work(tree, own_fds.get(), visitor, pending); };
  for (unsigned i = 1; i < threads; ++i) {
    try {
      others.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // fewer threads do the same work
    }
  }
  work();
  for (std::thread& other : others) {
    other.join();
  }
  return pending.Outcome();
}

}  // namespace nucleus::attest
