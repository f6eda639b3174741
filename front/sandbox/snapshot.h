// What a directory tree looks like, and how two looks differ.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"

namespace nucleus::front {

// Path, relative to the tree's root, → its status. A file whose bytes, mode or owner changed has another ctime, which
// nobody can set.
using Snapshot = std::map<std::string, struct stat>;

// Without what WriteBack has there for itself.
Result<Snapshot> TakeSnapshot(int directory);

bool SameEntry(const struct stat& one, const struct stat& other);

struct TreeChanges {
  std::vector<std::string> removed_files;        // and links; also where a directory takes their place
  std::vector<std::string> removed_directories;  // the innermost first; also where something else takes their place
  std::vector<std::string> made_directories;     // the outermost first
  std::vector<std::string> placed;               // files and links, new or changed
  std::vector<std::string> modes;                // directories whose mode changed
  std::vector<std::string> left_out;             // fifos, sockets and the like

  [[nodiscard]] bool empty() const {
    return removed_files.empty() && removed_directories.empty() && made_directories.empty() && placed.empty() &&
           modes.empty();
  }
};
TreeChanges Compare(const Snapshot& before, const Snapshot& after);

// Those of the changes that somebody else was quicker with: paths that differ between the two looks at the other tree.
std::vector<std::string> Conflicts(const TreeChanges& changes, const Snapshot& before, const Snapshot& now);

}  // namespace nucleus::front
