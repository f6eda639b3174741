#include "runtime/container/host.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/fd.h"

namespace nucleus::container {

namespace {

bool AppArmorEnabled() {
  // A file of sysfs says that it is a page long, whatever it holds.
  constexpr std::size_t kPage = 4096;
  const Result<std::string> text = ReadFile("/sys/module/apparmor/parameters/enabled", kPage);
  return text && text->starts_with("Y");
}

// The kernel registers selinuxfs only when SELinux is on; the policy is loaded once it has a mode.
bool SelinuxEnabled() {
  return ::access("/sys/fs/selinux/enforce", R_OK) == 0;
}

// The one that maps every id to itself.
Result<bool> InInitialUserNamespace() {
  const std::string map = TRY(ReadFile("/proc/self/uid_map", 65536));
  std::size_t at = 0;
  std::string words;
  while ((at = map.find_first_not_of(" \n", at)) != std::string::npos) {
    const std::size_t end = std::min(map.find_first_of(" \n", at), map.size());
    words += map.substr(at, end - at) + " ";
    at = end;
  }
  return words == "0 0 4294967295 ";
}

}  // namespace

std::string UsersRuntimeDir() {
  const char* directory = std::getenv("XDG_RUNTIME_DIR");
  if (directory == nullptr || directory[0] != '/') {
    return {};
  }
  if (::geteuid() == 0) {
    const char* user = std::getenv("USER");
    if ((user != nullptr && std::string_view{user} == "root") || InInitialUserNamespace().value_or(true)) {
      return {};
    }
  }
  return directory;
}

std::string CacheDirectory(const std::string& name) {
  const std::string runtime_dir = UsersRuntimeDir();
  if (runtime_dir.empty()) {
    return ::geteuid() == 0 ? "/run/nucleus/" + name : "";
  }
  return runtime_dir + "/nucleus/" + name;
}

bool AsksForLabels(const oci::Linux& container, const oci::Process* process) {
  return !container.mount_label.empty() ||
         (process != nullptr && (!process->apparmor_profile.empty() || !process->selinux_label.empty()));
}

std::string LockdownIn(std::string_view text) {
  const std::size_t open = text.find('[');
  const std::size_t close = text.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return {};
  }
  return std::string{text.substr(open + 1, close - open - 1)};
}

std::string ReadLockdown() {
  constexpr std::size_t kPage = 4096;
  const Result<std::string> text = ReadFile("/sys/kernel/security/lockdown", kPage);
  return text ? LockdownIn(*text) : "";
}

Result<plan::Host> ReadHost(bool with_cgroups, bool labels) {
  plan::Host host;
  host.euid = ::geteuid();
  host.egid = ::getegid();
  host.capability_bounding = confine::BoundingSet();
  host.in_initial_user_namespace = TRY(InInitialUserNamespace());
  if (labels) {
    host.apparmor = AppArmorEnabled();
    host.selinux = SelinuxEnabled();
  }
  if (with_cgroups) {
    host.cgroups = TRY(cgroup::ReadHost());
    host.cgroups.rootless = host.rootless();
  }
  return host;
}

}  // namespace nucleus::container
