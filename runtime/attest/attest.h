// Does a directory tree have exactly the entries that a manifest lists? docs/attestation.md.
//
// The answer holds for the moment of the look. Whoever can write to the tree afterwards, or swaps files back and forth
// faster than a filesystem's timestamps tell, is not stopped by it: a verified tree is to be mounted read-only, through
// the very descriptor that was verified.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/attest/manifest.h"
#include "runtime/attest/walk.h"

namespace nucleus::attest {

// Describes the tree; reads every file. `store`: links are not told, and root owns everything, as in a content store
// once it has taken a tree in, whoever looks at it. Errors name the entry: what cannot be read, is a mount point, or
// changes meanwhile; a graft that has no place in the tree.
Result<Manifest> DescribeTree(const TreeRoot& tree, bool store = false, unsigned threads = ThreadCount());

enum class Kind : unsigned char { kMissing, kExtra, kDifferent };
struct Finding {
  Kind kind = Kind::kDifferent;
  std::string path;  // raw bytes
  std::string what;  // of kDifferent: "mode is 0644, not 0755; content differs"
};
// "missing /a", "extra /b\x0ac", "different /bin/sh: owner is 1:1, not 0:0": one line of printable ASCII.
std::string Line(const Finding& finding);

struct Report {
  static constexpr std::size_t kListed = 20;
  std::vector<Finding> first;  // the first kListed, sorted by path
  std::size_t count = 0;       // of all
};

// Compares; the work is bounded by the manifest. A missing or an extra directory is one finding with all that is in it.
// What cannot be read, is a mount point, or changes meanwhile is a finding too. Errors: of this process alone.
Result<Report> CompareTree(const TreeRoot& tree, const Manifest& manifest, unsigned threads = ThreadCount());

// For create: an error of one line that lists what CompareTree has found, or that names the manifest's bad line.
// `manifest` are the bytes whose digest was checked; the names are for messages.
Result<> VerifyTree(const TreeRoot& tree, std::string_view manifest, std::string_view manifest_name,
                    std::string_view root_name);

}  // namespace nucleus::attest
