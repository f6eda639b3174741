// A cgroup is handed to the container's user.
// Source: Documentation/admin-guide/cgroup-v2.rst "Delegation", config-linux.md "Cgroup ownership".

#include <fcntl.h>
#include <unistd.h>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

constexpr const char* kKernelsList = "/sys/kernel/cgroup/delegate";
// Where the kernel does not tell.
constexpr std::string_view kUsualFiles = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

Result<> Own(int directory, const std::string& name, uid_t owner) {
  if (::fchownat(directory, name.c_str(), owner, static_cast<gid_t>(-1), AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT) {
    return std::unexpected(SysError("chown", name));
  }
  return {};
}

}  // namespace

Result<> Delegate(const Host& host, const std::vector<oci::StateCgroup>& cgroups, uid_t owner) {
  if (!host.unified()) {
    return {};
  }
  constexpr std::size_t kPage = 4096;
  const std::string files = ReadFile(kKernelsList, kPage).value_or(std::string{kUsualFiles});
  for (const oci::StateCgroup& cgroup : cgroups) {
    if (!cgroup.created) {
      continue;
    }
    const Fd directory = TRY(sys::Open(cgroup.path, O_RDONLY | O_DIRECTORY));
    TRY_IN(cgroup.path, Own(directory.get(), ".", owner));
    for (std::string_view rest = files; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string name{rest.substr(0, end)};
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (!name.empty() && name.find('/') == std::string::npos) {
        TRY_IN(cgroup.path, Own(directory.get(), name, owner));
      }
    }
  }
  return {};
}

}  // namespace nucleus::cgroup
