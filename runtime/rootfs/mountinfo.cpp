#include "runtime/rootfs/mountinfo.h"

#include <sys/mount.h>

#include <charconv>

namespace nucleus::rootfs {
namespace {

// The next word of the line; empty where there is none.
std::string_view Word(std::string_view& line) {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

bool Number(std::string_view word, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return !word.empty() && error == std::errc{} && end == word.data() + word.size();
}

std::uint64_t Flags(std::string_view options) {
  std::uint64_t flags = 0;
  flags |= HasOption(options, "ro") ? MOUNT_ATTR_RDONLY : 0;
  flags |= HasOption(options, "nosuid") ? MOUNT_ATTR_NOSUID : 0;
  flags |= HasOption(options, "nodev") ? MOUNT_ATTR_NODEV : 0;
  flags |= HasOption(options, "noexec") ? MOUNT_ATTR_NOEXEC : 0;
  flags |= HasOption(options, "nosymfollow") ? MOUNT_ATTR_NOSYMFOLLOW : 0;
  return flags;
}

// ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - TYPE SOURCE SUPER_OPTIONS
bool ParseLine(std::string_view line, MountInfo& mount) {
  if (!Number(Word(line), mount.id) || !Number(Word(line), mount.parent)) {
    return false;
  }
  Word(line);
  Word(line);
  mount.point = Word(line);
  mount.flags = Flags(Word(line));
  while (!line.empty() && !line.starts_with("- ")) {
    Word(line);
  }
  Word(line);
  mount.type = Word(line);
  Word(line);
  mount.super_options = line;
  if (HasOption(mount.super_options, "ro")) {
    mount.flags |= MOUNT_ATTR_RDONLY;
  }
  return !mount.point.empty() && !mount.type.empty() && !mount.super_options.empty();
}

}  // namespace

bool HasOption(std::string_view options, std::string_view option) {
  while (!options.empty()) {
    const std::size_t comma = std::min(options.find(','), options.size());
    if (options.substr(0, comma) == option) {
      return true;
    }
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
  return false;
}

Result<std::vector<MountInfo>> ParseMountInfo(std::string_view text) {
  std::vector<MountInfo> mounts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    MountInfo mount;
    if (!ParseLine(text.substr(0, end), mount)) {
      return std::unexpected(
          Failure("mountinfo: line " + std::to_string(mounts.size() + 1) + " is not understood", EINVAL));
    }
    mounts.push_back(std::move(mount));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return mounts;
}

}  // namespace nucleus::rootfs
