// Writing the device rules to the v1 devices controller.
// Source: Documentation/admin-guide/cgroup-v1/devices.rst.

#include <fcntl.h>

#include "runtime/cgroup/device_rules.h"
#include "runtime/cgroup/resources.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

std::string Number(const std::optional<std::int64_t>& number) {
  return !number || *number < 0 ? "*" : std::to_string(*number);
}

}  // namespace

Result<> ApplyDevicesV1(const std::string& directory, const std::vector<oci::DeviceRule>& rules) {
  const DeviceList list = TRY(ForV1(rules));
  const std::string allow_path = directory + "/devices.allow";
  const std::string deny_path = directory + "/devices.deny";
  // One rule a write; both files stay open, a container has a dozen rules at least.
  const Fd allow = TRY(sys::Open(allow_path, O_WRONLY));
  const Fd deny = TRY(sys::Open(deny_path, O_WRONLY));
  // "a" alone switches between allowing and denying everything, and forgets the exceptions.
  TRY(list.allow_others ? WriteAll(allow.get(), "a", allow_path) : WriteAll(deny.get(), "a", deny_path));
  for (const oci::DeviceRule& rule : list.exceptions) {
    const std::string text =
        std::string{rule.type} + " " + Number(rule.major) + ":" + Number(rule.minor) + " " + rule.access;
    TRY(rule.allow ? WriteAll(allow.get(), text, allow_path) : WriteAll(deny.get(), text, deny_path));
  }
  return {};
}

}  // namespace nucleus::cgroup
