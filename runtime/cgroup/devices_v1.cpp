// Device rules: the list, and writing it to the v1 devices controller.
// Source: Documentation/admin-guide/cgroup-v1/devices.rst.

#include "runtime/cgroup/files.h"
#include "runtime/cgroup/resources.h"

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
  std::vector<oci::DeviceRule> all = rules;
  const oci::DeviceRule defaults[] = {
      Allow('c', {}, {}, "m"),      Allow('b', {}, {}, "m"),      // making a node opens nothing
      Allow('c', 1, 3, "rwm"),      Allow('c', 1, 5, "rwm"),      // null, zero
      Allow('c', 1, 7, "rwm"),      Allow('c', 1, 8, "rwm"),      // full, random
      Allow('c', 1, 9, "rwm"),      Allow('c', 5, 0, "rwm"),      // urandom, tty
      Allow('c', 5, 1, "rwm"),      Allow('c', 5, 2, "rwm"),      // console, ptmx
      Allow('c', 136, {}, "rwm"),                                 // the slaves of a devpts
  };
  all.insert(all.end(), std::begin(defaults), std::end(defaults));
  return all;
}

Result<> ApplyDevicesV1(const std::string& directory, const std::vector<oci::DeviceRule>& rules) {
  for (const oci::DeviceRule& rule : rules) {
    const std::string access = rule.access.empty() ? "rwm" : rule.access;
    const bool everything = rule.type == 'a';
    // "a" alone switches the controller between allowing and denying everything.
    const std::string text =
        everything ? "a" : std::string{rule.type} + " " + Number(rule.major) + ":" + Number(rule.minor) + " " + access;
    TRY(Write(directory, rule.allow ? "devices.allow" : "devices.deny", text));
  }
  return {};
}

}  // namespace nucleus::cgroup
