#include "runtime/container/host.h"

#include <unistd.h>

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

}  // namespace

bool AsksForLabels(const oci::Linux& container, const oci::Process* process) {
  return !container.mount_label.empty() ||
         (process != nullptr && (!process->apparmor_profile.empty() || !process->selinux_label.empty()));
}

Result<plan::Host> ReadHost(bool with_cgroups, bool labels) {
  plan::Host host;
  host.euid = ::geteuid();
  host.egid = ::getegid();
  host.capability_bounding = confine::BoundingSet();
  // The initial user namespace is the one that maps every id to itself.
  const std::string map = TRY(ReadFile("/proc/self/uid_map", 65536));
  std::size_t at = 0;
  std::string words;
  while ((at = map.find_first_not_of(" \n", at)) != std::string::npos) {
    const std::size_t end = std::min(map.find_first_of(" \n", at), map.size());
    words += map.substr(at, end - at) + " ";
    at = end;
  }
  host.in_initial_user_namespace = words == "0 0 4294967295 ";
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
