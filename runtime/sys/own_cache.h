// What this user keeps between containers in files that nobody else can write: a directory of its own, each file under
// the digest of its key, with that key and a digest of all of it inside. Nothing depends on it but time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace nucleus::sys {

class OwnCache {
 public:
  // The directory `path`, made when missing (0700). It must belong to this user alone: else, and with an empty path,
  // nothing is found and nothing kept.
  explicit OwnCache(const std::string& path);

  // What was kept under the very same key. Nothing where the file is not this user's alone (owner, mode, one name) or
  // its digest is not that of its content.
  [[nodiscard]] std::optional<std::string> Find(const std::string& key) const;

  // In place of what was there. At most 64 are kept; none that is larger than 4 MiB.
  void Keep(const std::string& key, std::string_view content) const;

  void Forget(const std::string& key) const;

  [[nodiscard]] bool valid() const {
    return directory_.valid();
  }

 private:
  Fd directory_;
};

}  // namespace nucleus::sys
