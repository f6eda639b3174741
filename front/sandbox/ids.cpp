#include "front/sandbox/ids.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/fd.h"

namespace nucleus::front {
namespace {

constexpr std::uint32_t kCount = 65536;
// Above what useradd(8), subuid(5) and systemd (UIDS-GIDS.md) give out, below what is negative to some programs.
constexpr std::uint32_t kFirst = 0x78000000;
constexpr std::uint32_t kSlots = 2048;
constexpr std::uint32_t kUser = 1000;
constexpr std::size_t kMaxFile = std::size_t{1} << 20;

std::optional<std::uint32_t> HostId(const std::vector<IdMapping>& mappings, std::uint32_t inside) {
  for (const IdMapping& mapping : mappings) {
    if (inside >= mapping.inside && inside - mapping.inside < mapping.size) {
      return mapping.host + (inside - mapping.inside);
    }
  }
  return {};
}

// By the file alone: a static program has no other sources of names. subuid(5) takes the number as well.
std::string NameOf(uid_t uid) {
  const std::string text = ReadFile("/etc/passwd", kMaxFile).value_or("");
  const std::string field = ":" + std::to_string(uid) + ":";
  for (std::size_t at = text.find(field); at != std::string::npos; at = text.find(field, at + 1)) {
    const std::size_t newline = text.rfind('\n', at);
    const std::size_t start = newline == std::string::npos ? 0 : newline + 1;
    const std::size_t colon = text.find(':', start);
    // The third field: NAME:PASSWORD:UID
    if (text.find(':', colon + 1) == at) {
      return text.substr(start, colon - start);
    }
  }
  return {};
}

struct Range {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// The first line of subuid(5) that is this user's: NAME:FIRST:COUNT.
std::optional<Range> SubordinateRange(const char* path, const std::string& name, uid_t uid) {
  const Result<std::string> text = ReadFile(path, kMaxFile);
  if (!text) {
    return {};
  }
  std::string_view rest{*text};
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t one = line.find(':');
    const std::size_t two = line.find(':', one + 1);
    if (one == std::string_view::npos || two == std::string_view::npos) {
      continue;
    }
    const std::string_view who = line.substr(0, one);
    Range range;
    const auto number = [](std::string_view digits, std::uint32_t& value) {
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      return error == std::errc{} && end == digits.data() + digits.size();
    };
    if ((who == name || who == std::to_string(uid)) && number(line.substr(one + 1, two - one - 1), range.first) &&
        number(line.substr(two + 1), range.count)) {
      return range;
    }
  }
  return {};
}

// `self` is `id` inside; what is left of the range is all others from 0 on.
std::vector<IdMapping> Around(std::uint32_t id, std::uint32_t self, Range range) {
  std::vector<IdMapping> mappings;
  const std::uint32_t below = std::min(id, range.count);
  if (below > 0) {
    mappings.push_back({.inside = 0, .host = range.first, .size = below});
  }
  mappings.push_back({.inside = id, .host = self, .size = 1});
  if (range.count > below && id + 1 < kCount) {
    mappings.push_back(
        {.inside = id + 1, .host = range.first + below, .size = std::min(range.count - below, kCount - id - 1)});
  }
  return mappings;
}

// Are all ids of the host there?
Result<bool> InHostsUserNamespace() {
  const std::string map = TRY(ReadFile("/proc/self/uid_map", kMaxFile));
  return map.find(" 4294967295") != std::string::npos;
}

Result<Ids> OfRoot(const std::optional<std::pair<std::uint32_t, std::uint32_t>>& user) {
  if (!TRY(InHostsUserNamespace())) {
    return std::unexpected(
        Failure("sandbox: root of a user namespace has no ids to give: call it as an ordinary user", EPERM));
  }
  std::uint32_t slot = 0;
  if (::getrandom(&slot, sizeof slot, 0) != sizeof slot) {
    return std::unexpected(SysError("getrandom", ""));
  }
  Ids ids;
  ids.uids = {{.inside = 0, .host = kFirst + slot % kSlots * kCount, .size = kCount}};
  ids.gids = ids.uids;
  ids.uid = user ? user->first : kUser;
  ids.gid = user ? user->second : kUser;
  ids.privileged = true;
  return ids;
}

}  // namespace

std::optional<std::uint32_t> Ids::HostUid(std::uint32_t inside) const {
  return HostId(uids, inside);
}

std::optional<std::uint32_t> Ids::HostGid(std::uint32_t inside) const {
  return HostId(gids, inside);
}

Result<Ids> ChooseIds(const std::optional<std::pair<std::uint32_t, std::uint32_t>>& user) {
  if (::geteuid() == 0) {
    return OfRoot(user);
  }
  const std::string name = NameOf(::geteuid());
  const auto uids = SubordinateRange("/etc/subuid", name, ::geteuid());
  const auto gids = SubordinateRange("/etc/subgid", name, ::geteuid());
  Ids ids;
  const bool ranges = uids && gids && std::min(uids->count, gids->count) > kUser;
  ids.uid = user ? user->first : (ranges ? kUser : 0);
  ids.gid = user ? user->second : (ranges ? kUser : 0);
  if (!ranges && (ids.uid != 0 || ids.gid != 0)) {
    return std::unexpected(
        Failure("--user: other ids than 0 need ranges of this user in /etc/subuid and /etc/subgid", EPERM));
  }
  ids.uids = Around(ids.uid, ::geteuid(), uids && ranges ? *uids : Range{});
  ids.gids = Around(ids.gid, ::getegid(), gids && ranges ? *gids : Range{});
  return ids;
}

}  // namespace nucleus::front
