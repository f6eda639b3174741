// The runsc that carries a container: found, trusted, and known by what it can do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/annotations.h"
#include "oci-config/state.h"

namespace nucleus::gvisor {

// What runsc says of itself.
struct Abilities {
  std::string version;                 // "0.0~20221219.0", "release-20260302.0"
  std::uint32_t date = 0;              // 20221219, the release's; 0: it names none
  std::vector<std::string> platforms;  // its default first
  std::vector<std::string> flags;      // before a command, without dashes
  [[nodiscard]] bool Has(std::string_view flag) const;
  // Processes of exec get the filter of linux.seccomp as well.
  [[nodiscard]] bool FiltersExec() const;
};

// Of a version that was kept: its date alone is known.
Abilities OfVersion(std::string version);

// The texts of `runsc --version` and `runsc flags`. An error where they are not runsc's.
Result<Abilities> ParseAbilities(std::string_view version, std::string_view flags);

struct Runsc {
  Fd file;  // the very file that is hashed, asked and executed
  std::string path;
  std::string digest;  // SHA-256, 64 hex digits
  Abilities abilities;
};

// The file that `pin` names (relative to `bundle`), or the first of the trusted places. It has to be a regular file of
// root's, or of a store's that root owns, that nobody else may write to. Its digest and abilities are kept below /run
// for as long as the file stays the same (device, inode, size, times of change), in a directory that is root's alone.
// A runsc that does not answer within its time is ended, and an error.
Result<Runsc> FindRunsc(const std::optional<oci::Pin>& pin, const std::string& bundle);

// The runsc of a sandbox that runs: its own executable, whatever lies at the path by now. An error where it is not the
// file that create has recorded.
Result<Fd> RunscOf(const oci::State& state);

}  // namespace nucleus::gvisor
