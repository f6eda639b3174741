// The Landlock policy: what of the container's filesystem, of TCP and of other processes the workload may reach.
//
//   min_abi = 3
//   scope = ["abstract-unix-socket", "signal"]
//   [[rules]]
//   path = "/usr"
//   access = ["read", "execute"]
//   [[tcp]]
//   port = 8080
//   access = ["bind"]
//
// Every right on files is handled: what no rule grants is refused. TCP is handled where the document has [[tcp]] or
// `tcp = []`. Source: landlock(7), Documentation/userspace-api/landlock.rst.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::policies {

// One word of `access` each; a rule's are or-ed.
enum LandlockAccess : unsigned {
  kLandlockRead = 1U << 0,
  kLandlockWrite = 1U << 1,
  kLandlockExecute = 1U << 2,
  kLandlockCreate = 1U << 3,
  kLandlockRemove = 1U << 4,
  kLandlockRefer = 1U << 5,
  kLandlockTruncate = 1U << 6,
  kLandlockIoctl = 1U << 7,
};

enum LandlockTcp : unsigned { kLandlockBind = 1U << 0, kLandlockConnect = 1U << 1 };
enum LandlockScope : unsigned { kLandlockAbstractUnix = 1U << 0, kLandlockSignal = 1U << 1 };

struct LandlockRule {
  std::string path;  // absolute, inside the container
  unsigned access = 0;
  // Derived from a mount, not written by anybody: of a file that is no directory only the rights that such files have.
  bool as_it_fits = false;
};

struct LandlockPort {
  std::uint16_t port = 0;
  unsigned access = 0;
};

struct LandlockPolicy {
  int min_abi = 1;
  unsigned scope = 0;
  std::vector<LandlockRule> rules;
  bool handles_tcp = false;
  std::vector<LandlockPort> tcp;
  // The least ABI that has everything that the document names, or min_abi where that is more.
  [[nodiscard]] int NeededAbi() const;
};

// Unknown keys and words, a path or port given twice, relative paths and paths with ".." are errors: "FILE:LINE: KEY:
// ...".
Result<LandlockPolicy> ParseLandlockPolicy(std::string_view toml, const std::string& name);

}  // namespace nucleus::policies
