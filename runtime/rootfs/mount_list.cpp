#include "runtime/rootfs/mount_list.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace nucleus::rootfs {
namespace {

// linux/mount.h of 6.8; Debian 12's is older than the kernels that it runs on.
constexpr long kStatmount = 457;
constexpr long kListmount = 458;
#ifdef SYS_statmount
static_assert(SYS_statmount == kStatmount && SYS_listmount == kListmount);
#endif

struct Request {  // struct mnt_id_req, as 6.8 has it
  std::uint32_t size = sizeof(Request);
  std::uint32_t spare = 0;
  std::uint64_t id = 0;
  std::uint64_t param = 0;  // of statmount: what is asked for; of listmount: the last one of the part before
};
static_assert(sizeof(Request) == 24);

struct Status {  // the beginning of struct statmount
  std::uint32_t size;
  std::uint32_t options;
  std::uint64_t mask;
  std::uint32_t device_major;
  std::uint32_t device_minor;
  std::uint64_t magic;
  std::uint32_t super_flags;
  std::uint32_t type;
  std::uint64_t id;
  std::uint64_t parent;
  std::uint32_t old_id;
  std::uint32_t old_parent;
  std::uint64_t attributes;  // MOUNT_ATTR_*
  std::uint64_t propagation;
  std::uint64_t peer_group;
  std::uint64_t master;
  std::uint64_t propagates_from;
  std::uint32_t root;
  std::uint32_t point;  // from kStrings on
};
static_assert(sizeof(Status) == 112);
constexpr std::size_t kStrings = 512;  // where the strings begin: sizeof(struct statmount)

constexpr std::uint64_t kSuperBasic = 1;            // STATMOUNT_SB_BASIC
constexpr std::uint64_t kMountBasic = 2;            // STATMOUNT_MNT_BASIC
constexpr std::uint64_t kMountPoint = 16;           // STATMOUNT_MNT_POINT
constexpr std::uint64_t kRoot = ~std::uint64_t{0};  // LSMT_ROOT
constexpr std::uint32_t kSuperReadonly = 1;         // SB_RDONLY

constexpr std::uint64_t kFlags =
    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;

long List(std::uint64_t after, std::uint64_t* ids, std::size_t count) {
  const Request request{.id = kRoot, .param = after};
  return ::syscall(kListmount, &request, ids, count, 0);
}

Result<> Ask(std::uint64_t id, std::uint64_t wanted, Status* status, std::size_t size) {
  const Request request{.id = id, .param = wanted};
  if (::syscall(kStatmount, &request, status, size, 0) != 0) {
    return std::unexpected(SysError("statmount", std::to_string(id)));
  }
  if ((status->mask & wanted) != wanted) {
    return std::unexpected(Failure("statmount " + std::to_string(id) + ": the kernel does not tell all", ENOTSUP));
  }
  return {};
}

Result<MountInfo> About(std::uint64_t id) {
  Status status{};
  TRY(Ask(id, kSuperBasic | kMountBasic, &status, sizeof status));
  const std::uint64_t super = (status.super_flags & kSuperReadonly) != 0 ? MOUNT_ATTR_RDONLY : 0;
  return MountInfo{.id = status.id,
                   .parent = status.parent,
                   .point = {},
                   .flags = (status.attributes & kFlags) | super,
                   .type = {},
                   .super_options = {}};
}

// As mountinfo writes them: a path is told to a user, and may have line breaks.
std::string Escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\\') {
      text += c == ' ' ? "\\040" : c == '\t' ? "\\011" : c == '\n' ? "\\012" : "\\134";
    } else {
      text += c;
    }
  }
  return text;
}

Result<std::string> PointOf(std::uint64_t id) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  for (std::size_t size = 4096; size <= kMost; size *= 4) {
    std::vector<std::uint64_t> answer(size / sizeof(std::uint64_t));
    auto* const status = reinterpret_cast<Status*>(answer.data());
    if (const Result<> asked = Ask(id, kMountPoint, status, size); !asked) {
      if (asked.error().code == EOVERFLOW) {
        continue;
      }
      return std::unexpected(asked.error());
    }
    const std::string_view strings{reinterpret_cast<const char*>(answer.data()) + kStrings, size - kStrings};
    const std::string_view point = strings.substr(std::min<std::size_t>(status->point, strings.size()));
    return Escaped(point.substr(0, point.find('\0')));
  }
  return std::unexpected(SysError("statmount", std::to_string(id), EOVERFLOW));
}

}  // namespace

bool CanListMounts() {
  std::uint64_t first = 0;
  return List(0, &first, 1) == 1 && About(first);
}

Result<std::vector<MountInfo>> ListMounts() {
  std::vector<MountInfo> mounts;
  std::array<std::uint64_t, 256> ids;
  std::uint64_t last = 0;
  for (long count = ids.size(); count == static_cast<long>(ids.size());) {
    count = List(last, ids.data(), ids.size());
    if (count < 0) {
      return std::unexpected(SysError("listmount", ""));
    }
    mounts.reserve(mounts.size() + static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) {
      last = ids[static_cast<std::size_t>(i)];
      mounts.push_back(TRY(About(last)));
    }
  }
  return mounts;
}

Result<> FindMountPoints(std::vector<MountInfo>& mounts) {
  for (MountInfo& mount : mounts) {
    mount.point = TRY(PointOf(mount.id));
  }
  return {};
}

}  // namespace nucleus::rootfs
