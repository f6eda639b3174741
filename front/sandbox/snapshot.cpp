#include "front/sandbox/snapshot.h"

#include <algorithm>
#include <set>

#include "front/sandbox/tree_walk.h"
#include "front/sandbox/write_back.h"

namespace nucleus::front {
namespace {

constexpr mode_t kModeBits = 0777;

bool IsFile(const struct stat& status) {
  return S_ISREG(status.st_mode) || S_ISLNK(status.st_mode);
}

bool SameTime(const timespec& one, const timespec& other) {
  return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

}  // namespace

Result<Snapshot> TakeSnapshot(int directory) {
  Snapshot snapshot;
  TRY(Walk(directory, false,
           [&](int, const std::string&, const std::string& path, const struct stat& status) -> Result<> {
             if (!path.starts_with(kStagePrefix)) {
               snapshot.emplace(path, status);
             }
             return {};
           }));
  return snapshot;
}

bool SameEntry(const struct stat& one, const struct stat& other) {
  if ((one.st_mode & S_IFMT) != (other.st_mode & S_IFMT)) {
    return false;
  }
  // A directory's times change with what is in it, which is looked at by itself.
  if (S_ISDIR(one.st_mode)) {
    return (one.st_mode & kModeBits) == (other.st_mode & kModeBits);
  }
  return one.st_ino == other.st_ino && one.st_size == other.st_size && SameTime(one.st_ctim, other.st_ctim);
}

TreeChanges Compare(const Snapshot& before, const Snapshot& after) {
  TreeChanges changes;
  for (const auto& [path, old] : before) {
    const auto now = after.find(path);
    const bool another = now == after.end() || (old.st_mode & S_IFMT) != (now->second.st_mode & S_IFMT);
    if (S_ISDIR(old.st_mode)) {
      if (another) {
        changes.removed_directories.push_back(path);
      } else if (!SameEntry(old, now->second)) {
        changes.modes.push_back(path);
      }
    } else if (IsFile(old) && (now == after.end() || !IsFile(now->second))) {
      changes.removed_files.push_back(path);
    }
  }
  std::ranges::reverse(changes.removed_directories);
  for (const auto& [path, now] : after) {
    const auto old = before.find(path);
    const bool same = old != before.end() && SameEntry(old->second, now);
    if (S_ISDIR(now.st_mode)) {
      if (old == before.end() || !S_ISDIR(old->second.st_mode)) {
        changes.made_directories.push_back(path);
      }
    } else if (IsFile(now)) {
      if (!same) {
        changes.placed.push_back(path);
      }
    } else if (!same) {
      changes.left_out.push_back(path);
    }
  }
  return changes;
}

std::vector<std::string> Conflicts(const TreeChanges& changes, const Snapshot& before, const Snapshot& now) {
  std::set<std::string> found;
  const auto check = [&](const std::string& path) {
    const auto old = before.find(path);
    const auto present = now.find(path);
    const bool was = old != before.end();
    const bool is = present != now.end();
    if (was != is || (was && !SameEntry(old->second, present->second))) {
      found.insert(path);
    }
    // What it lies in has to be there, if it was.
    for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash != 0;
         slash = path.rfind('/', slash - 1)) {
      const std::string parent = path.substr(0, slash);
      const auto was_there = before.find(parent);
      const auto place = now.find(parent);
      if (was_there != before.end() && S_ISDIR(was_there->second.st_mode) &&
          (place == now.end() || !S_ISDIR(place->second.st_mode))) {
        found.insert(parent);
      }
    }
  };
  for (const auto* list : {&changes.removed_files, &changes.removed_directories, &changes.made_directories,
                           &changes.placed, &changes.modes}) {
    std::ranges::for_each(*list, check);
  }
  // New entries in a directory that is to be removed.
  for (const std::string& directory : changes.removed_directories) {
    const std::string prefix = directory + "/";
    for (auto entry = now.lower_bound(prefix); entry != now.end() && entry->first.starts_with(prefix); ++entry) {
      if (!before.contains(entry->first)) {
        found.insert(entry->first);
      }
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace nucleus::front
