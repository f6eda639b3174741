// Every entry of a tree, on every processor.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"
#include "runtime/attest/inspect.h"

namespace nucleus::attest {

// What is done with the entries. All members but the constructor are called from several threads at a time.
class Visitor {
 public:
  Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  virtual ~Visitor() = default;

  // A name in a directory. False: it is not visited. What is wanted waits in memory, a path each.
  virtual bool Wants(const std::string& path) = 0;
  // Returns whether the names in it are to be listed; only asked of directories.
  virtual Result<bool> Visit(Inspector& inspector, Handle& handle) = 0;
  // Opening, visiting or listing an entry has failed; an error ends the walk.
  virtual Result<> Trouble(const std::string& path, Error error) = 0;
};

// As many as this process may use processors, at most kMostThreads (each has a buffer of 128 KiB).
inline constexpr unsigned kMostThreads = 64;
unsigned ThreadCount();

// Visits "/" and what `visitor` wants of it, a directory before what is in it, otherwise in no order. Errors: what
// Trouble returns, want of descriptors or memory, no /proc.
Result<> Walk(const TreeRoot& tree, unsigned threads, Visitor& visitor);

}  // namespace nucleus::attest
