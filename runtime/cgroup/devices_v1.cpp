// Device rules: the list, and writing it to the v1 devices controller.
// Source: Documentation/admin-guide/cgroup-v1/devices.rst.

#include <fcntl.h>

#include "runtime/cgroup/resources.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

std::string Number(const std::optional<std::int64_t>& number) {
  return !number || *number < 0 ? "*" : std::to_string(*number);
}

oci::DeviceRule Allow(char type, std::optional<std::int64_t> major, std::optional<std::int64_t> minor,
                      const char* access) {
  return {.allow = true, .type = type, .major = major, .minor = minor, .access = access};
}

}  // namespace

std::vector<oci::DeviceRule> WithDefaultDevices(const std::vector<oci::DeviceRule>& rules) {
  // What no rule speaks of is denied, as with runc: a bundle without rules gets the default devices alone.
  std::vector<oci::DeviceRule> all = {{.allow = false, .type = 'a', .major = {}, .minor = {}, .access = "rwm"}};
  all.insert(all.end(), rules.begin(), rules.end());
  const oci::DeviceRule defaults[] = {
      Allow('c', {}, {}, "m"),    Allow('b', {}, {}, "m"),  // making a node opens nothing
      Allow('c', 1, 3, "rwm"),    Allow('c', 1, 5, "rwm"),  // null, zero
      Allow('c', 1, 7, "rwm"),    Allow('c', 1, 8, "rwm"),  // full, random
      Allow('c', 1, 9, "rwm"),    Allow('c', 5, 0, "rwm"),  // urandom, tty
      Allow('c', 5, 1, "rwm"),    Allow('c', 5, 2, "rwm"),  // console, ptmx
      Allow('c', 136, {}, "rwm"),                           // the slaves of a devpts
  };
  all.insert(all.end(), std::begin(defaults), std::end(defaults));
  return all;
}

Result<> ApplyDevicesV1(const std::string& directory, const std::vector<oci::DeviceRule>& rules) {
  // One rule a write; both files stay open, a container has a dozen rules at least.
  const Fd allow = TRY(sys::Open(directory + "/devices.allow", O_WRONLY));
  const Fd deny = TRY(sys::Open(directory + "/devices.deny", O_WRONLY));
  for (const oci::DeviceRule& rule : rules) {
    const std::string access = rule.access.empty() ? "rwm" : rule.access;
    // "a" alone switches the controller between allowing and denying everything.
    const std::string text =
        rule.type == 'a' ? "a"
                         : std::string{rule.type} + " " + Number(rule.major) + ":" + Number(rule.minor) + " " + access;
    TRY(WriteAll((rule.allow ? allow : deny).get(), text,
                 directory + (rule.allow ? "/devices.allow" : "/devices.deny")));
  }
  return {};
}

}  // namespace nucleus::cgroup
