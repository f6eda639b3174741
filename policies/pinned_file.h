// A file that is named together with its digest: what is hashed is what is parsed.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/annotations.h"

namespace nucleus::policies {

// Real policies are a few kilobytes.
inline constexpr std::size_t kMaxPolicyBytes = std::size_t{1} << 20;

struct PinnedFile {
  std::string path;    // as the pin has it
  std::string bytes;   // read once
  std::string digest;  // of these bytes, 64 hex digits
};

// Where relative pins start, and where this process's descriptors are: opened for the first pin that needs them.
class PinBase {
 public:
  explicit PinBase(std::string path) : path_(std::move(path)) {
  }
  Result<int> Open();
  // The file of `place`, which was opened to look at it alone.
  Fd OpenAgain(int place);

 private:
  std::string path_;
  Fd directory_;
  Fd descriptors_;
};

// Opens the pin's file once, reads it once, and compares the digest of what was read (where the pin has one). A
// relative path is looked for below `bundle` and may not leave it, nor lead through a symbolic link (openat2(2),
// RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS); an absolute one may not end in one. Refused with the reason: what is not a
// regular file (a FIFO is not waited for, a device not opened), what everybody may write to, what is larger than
// `limit`, what changes while it is read, another digest. Errors begin with the path.
Result<PinnedFile> ReadPinned(PinBase& bundle, const oci::Pin& pin, std::size_t limit = kMaxPolicyBytes);
Result<PinnedFile> ReadPinned(const std::string& bundle, const oci::Pin& pin, std::size_t limit = kMaxPolicyBytes);

}  // namespace nucleus::policies
