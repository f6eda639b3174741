// Who the sandbox's ids are on the host: nobody else's, where the caller may choose.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace nucleus::front {

struct IdMapping {
  std::uint32_t inside = 0;
  std::uint32_t host = 0;
  std::uint32_t size = 0;
};

struct Ids {
  std::vector<IdMapping> uids;
  std::vector<IdMapping> gids;
  std::uint32_t uid = 0;  // of the process, inside
  std::uint32_t gid = 0;
  bool privileged = false;  // the caller is the host's root: mounts may have mappings of their own, files any owner

  [[nodiscard]] std::optional<std::uint32_t> HostUid(std::uint32_t inside) const;
  [[nodiscard]] std::optional<std::uint32_t> HostGid(std::uint32_t inside) const;
};

// Of root: 65536 ids that no account has, others for each sandbox, and user 1000. Of anybody else: its own id is the
// user; 1000 with ranges in /etc/subuid and /etc/subgid for the others, or 0 and no others without.
Result<Ids> ChooseIds(const std::optional<std::pair<std::uint32_t, std::uint32_t>>& user);

}  // namespace nucleus::front
