// linux.resources, carried to the hierarchies that this host has.

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/resources.h"

namespace nucleus::cgroup {
namespace {

Result<> ApplyDevices(const Host& host, const std::vector<oci::StateCgroup>& cgroups,
                      const std::vector<oci::DeviceRule>& rules) {
  const std::vector<oci::DeviceRule> all = WithDefaultDevices(rules);
  if (const std::string* devices = DirectoryOf(cgroups, "devices")) {
    TRY_IN("linux.resources.devices", ApplyDevicesV1(*devices, all));
    return {};
  }
  const std::string* unified = DirectoryOf(cgroups, "");
  if (unified != nullptr && host.unified()) {
    TRY_IN("linux.resources.devices", ApplyDevicesV2(*unified, all));
    return {};
  }
  if (rules.empty()) {
    return {};
  }
  return std::unexpected(Failure("linux.resources.devices: no devices controller is mounted", ENOENT));
}

Result<> ApplyUnified(const Host& host, const std::vector<oci::StateCgroup>& cgroups, const oci::StringMap& unified) {
  if (unified.empty()) {
    return {};
  }
  const std::string* directory = DirectoryOf(cgroups, "");
  if (directory == nullptr || !host.unified()) {
    return std::unexpected(Failure("linux.resources.unified: this host has no cgroup v2 with controllers", ENOTSUP));
  }
  for (const auto& [file, value] : unified) {
    const std::string where = "linux.resources.unified[\"" + file + "\"]";
    // A file may take several lines, each in a write of its own.
    std::string_view rest = value;
    do {
      const std::size_t end = rest.find('\n');
      TRY_IN(where, Write(*directory, file, rest.substr(0, end)));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    } while (!rest.empty());
  }
  return {};
}

}  // namespace

Result<> Apply(const Host& host, const std::vector<oci::StateCgroup>& cgroups, const oci::Resources& resources,
               std::vector<std::string>& warnings) {
  TRY(ApplyDevices(host, cgroups, resources.devices));
  const std::string* unified = DirectoryOf(cgroups, "");
  if (unified != nullptr && host.unified()) {
    TRY(ApplyV2(*unified, resources, warnings));
  } else {
    TRY(ApplyV1(cgroups, resources, warnings));
  }
  return ApplyUnified(host, cgroups, resources.unified);
}

}  // namespace nucleus::cgroup
