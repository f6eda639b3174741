#include "runtime/plan/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace nucleus::plan {
namespace {

enum class Kind {
  kNothing,  // accepted, needs no call: defaults, and flags that the mount API has no word for
  kSet,      // value: MOUNT_ATTR_*
  kClear,    //
  kAtime,    // value: the access-time mode, one of three that exclude each other
  kRecursiveSet,
  kRecursiveClear,
  kRecursiveAtime,
  kPropagation,
  kRecursivePropagation,
  kSuperblock,  // value: group of flags that exclude each other
  kBind,
  kRecursiveBind,
  kRemount,
  kReadOnly,  // ro and rw are said of the mount and of the superblock
  kTmpcopyup,
  kIdmap,
  kRecursiveIdmap,
};

struct Row {
  std::string_view name;
  Kind kind;
  std::uint64_t value = 0;
};

// iversion and silent have no counterpart in fsconfig(2): kernels that still know i_version as a choice take it as the
// filesystem's own parameter, and silence is about the kernel log only. Both are accepted and change nothing.
constexpr auto kTable = std::to_array<Row>({
    {"async", Kind::kSuperblock, 1},
    {"atime", Kind::kAtime, MOUNT_ATTR_RELATIME},
    {"bind", Kind::kBind},
    {"defaults", Kind::kNothing},
    {"dev", Kind::kClear, MOUNT_ATTR_NODEV},
    {"diratime", Kind::kClear, MOUNT_ATTR_NODIRATIME},
    {"dirsync", Kind::kSuperblock, 2},
    {"exec", Kind::kClear, MOUNT_ATTR_NOEXEC},
    {"idmap", Kind::kIdmap},
    {"iversion", Kind::kNothing},
    {"lazytime", Kind::kSuperblock, 3},
    {"loud", Kind::kNothing},
    {"mand", Kind::kSuperblock, 4},
    {"noatime", Kind::kAtime, MOUNT_ATTR_NOATIME},
    {"nodev", Kind::kSet, MOUNT_ATTR_NODEV},
    {"nodiratime", Kind::kSet, MOUNT_ATTR_NODIRATIME},
    {"noexec", Kind::kSet, MOUNT_ATTR_NOEXEC},
    {"noiversion", Kind::kNothing},
    {"nolazytime", Kind::kSuperblock, 3},
    {"nomand", Kind::kSuperblock, 4},
    {"norelatime", Kind::kNothing},
    {"nostrictatime", Kind::kAtime, MOUNT_ATTR_RELATIME},
    {"nosuid", Kind::kSet, MOUNT_ATTR_NOSUID},
    {"nosymfollow", Kind::kSet, MOUNT_ATTR_NOSYMFOLLOW},
    {"private", Kind::kPropagation, MS_PRIVATE},
    {"ratime", Kind::kRecursiveAtime, MOUNT_ATTR_RELATIME},
    {"rbind", Kind::kRecursiveBind},
    {"rdev", Kind::kRecursiveClear, MOUNT_ATTR_NODEV},
    {"rdiratime", Kind::kRecursiveClear, MOUNT_ATTR_NODIRATIME},
    {"relatime", Kind::kAtime, MOUNT_ATTR_RELATIME},
    {"remount", Kind::kRemount},
    {"rexec", Kind::kRecursiveClear, MOUNT_ATTR_NOEXEC},
    {"ridmap", Kind::kRecursiveIdmap},
    {"rnoatime", Kind::kRecursiveAtime, MOUNT_ATTR_NOATIME},
    {"rnodev", Kind::kRecursiveSet, MOUNT_ATTR_NODEV},
    {"rnodiratime", Kind::kRecursiveSet, MOUNT_ATTR_NODIRATIME},
    {"rnoexec", Kind::kRecursiveSet, MOUNT_ATTR_NOEXEC},
    {"rnorelatime", Kind::kRecursiveAtime, MOUNT_ATTR_RELATIME},
    {"rnostrictatime", Kind::kRecursiveAtime, MOUNT_ATTR_RELATIME},
    {"rnosuid", Kind::kRecursiveSet, MOUNT_ATTR_NOSUID},
    {"rnosymfollow", Kind::kRecursiveSet, MOUNT_ATTR_NOSYMFOLLOW},
    {"ro", Kind::kReadOnly, 1},
    {"rprivate", Kind::kRecursivePropagation, MS_PRIVATE},
    {"rrelatime", Kind::kRecursiveAtime, MOUNT_ATTR_RELATIME},
    {"rro", Kind::kRecursiveSet, MOUNT_ATTR_RDONLY},
    {"rrw", Kind::kRecursiveClear, MOUNT_ATTR_RDONLY},
    {"rshared", Kind::kRecursivePropagation, MS_SHARED},
    {"rslave", Kind::kRecursivePropagation, MS_SLAVE},
    {"rstrictatime", Kind::kRecursiveAtime, MOUNT_ATTR_STRICTATIME},
    {"rsuid", Kind::kRecursiveClear, MOUNT_ATTR_NOSUID},
    {"rsymfollow", Kind::kRecursiveClear, MOUNT_ATTR_NOSYMFOLLOW},
    {"runbindable", Kind::kRecursivePropagation, MS_UNBINDABLE},
    {"rw", Kind::kReadOnly, 0},
    {"shared", Kind::kPropagation, MS_SHARED},
    {"silent", Kind::kNothing},
    {"slave", Kind::kPropagation, MS_SLAVE},
    {"strictatime", Kind::kAtime, MOUNT_ATTR_STRICTATIME},
    {"suid", Kind::kClear, MOUNT_ATTR_NOSUID},
    {"symfollow", Kind::kClear, MOUNT_ATTR_NOSYMFOLLOW},
    {"sync", Kind::kSuperblock, 1},
    {"tmpcopyup", Kind::kTmpcopyup},
    {"unbindable", Kind::kPropagation, MS_UNBINDABLE},
});
static_assert(std::is_sorted(kTable.begin(), kTable.end(), [](const Row& a, const Row& b) { return a.name < b.name; }));

const Row* FindRow(std::string_view name) {
  const auto* row =
      std::lower_bound(kTable.begin(), kTable.end(), name, [](const Row& a, std::string_view b) { return a.name < b; });
  return row != kTable.end() && row->name == name ? row : nullptr;
}

void Set(std::uint64_t& set, std::uint64_t& clear, std::uint64_t value) {
  set |= value;
  clear &= ~value;
}

// The access-time mode is a field of several bits: setting one value means clearing the whole field first.
void SetAtime(std::uint64_t& set, std::uint64_t& clear, std::uint64_t value) {
  set = (set & ~std::uint64_t{MOUNT_ATTR__ATIME}) | value;
  clear |= MOUNT_ATTR__ATIME;
}

void AddOneParameter(MountOptions& result, const std::string& option) {
  if (option.empty()) {
    return;
  }
  const std::size_t equals = option.find('=');
  if (equals == std::string::npos) {
    result.parameters.push_back({.key = option, .value = {}, .has_value = false});
  } else {
    result.parameters.push_back(
        {.key = option.substr(0, equals), .value = option.substr(equals + 1), .has_value = true});
  }
}

// Several parameters in one string ("size=64k,mode=755") are what mount(2) took as its data. A quoted or escaped comma
// (an SELinux context, an overlay's directory) belongs to the value.
void AddParameter(MountOptions& result, const std::string& option) {
  if (option.find_first_of("\"\\") != std::string::npos) {
    return AddOneParameter(result, option);
  }
  for (std::size_t start = 0; start <= option.size();) {
    const std::size_t comma = std::min(option.find(',', start), option.size());
    AddOneParameter(result, option.substr(start, comma - start));
    start = comma + 1;
  }
}

}  // namespace

MountOptions ParseMountOptions(const std::vector<std::string>& options) {
  MountOptions result;
  std::array<const Row*, 5> superblock{};
  for (const std::string& option : options) {
    const Row* row = FindRow(option);
    if (row == nullptr) {
      AddParameter(result, option);
      continue;
    }
    switch (row->kind) {
      case Kind::kNothing:
        break;
      case Kind::kSet:
        Set(result.set, result.clear, row->value);
        break;
      case Kind::kClear:
        Set(result.clear, result.set, row->value);
        break;
      case Kind::kReadOnly:
        if (row->value != 0) {
          Set(result.set, result.clear, MOUNT_ATTR_RDONLY);
        } else {
          Set(result.clear, result.set, MOUNT_ATTR_RDONLY);
        }
        break;
      case Kind::kAtime:
        SetAtime(result.set, result.clear, row->value);
        break;
      case Kind::kRecursiveSet:
        Set(result.recursive_set, result.recursive_clear, row->value);
        break;
      case Kind::kRecursiveClear:
        Set(result.recursive_clear, result.recursive_set, row->value);
        break;
      case Kind::kRecursiveAtime:
        SetAtime(result.recursive_set, result.recursive_clear, row->value);
        break;
      case Kind::kPropagation:
      case Kind::kRecursivePropagation:
        result.propagation = row->value;
        result.propagation_recursive = row->kind == Kind::kRecursivePropagation;
        break;
      case Kind::kSuperblock:
        superblock[row->value] = row;
        break;
      case Kind::kBind:
        result.bind = true;
        break;
      case Kind::kRecursiveBind:
        result.bind = true;
        result.recursive_bind = true;
        break;
      case Kind::kRemount:
        result.remount = true;
        break;
      case Kind::kTmpcopyup:
        result.tmpcopyup = true;
        break;
      case Kind::kIdmap:
        result.idmap = true;
        break;
      case Kind::kRecursiveIdmap:
        result.recursive_idmap = true;
        break;
    }
  }
  for (const Row* row : superblock) {
    if (row != nullptr) {
      result.superblock_flags.emplace_back(row->name);
    }
  }
  return result;
}

std::vector<std::string> KnownMountOptions() {
  std::vector<std::string> names;
  names.reserve(kTable.size());
  for (const Row& row : kTable) {
    names.emplace_back(row.name);
  }
  return names;
}

}  // namespace nucleus::plan
