// linux.resources, carried to the hierarchies that this host has.

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/device_rules.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/resources.h"

namespace nucleus::cgroup {
namespace {

Result<> ApplyDevices(const Host& host, const std::vector<oci::StateCgroup>& cgroups,
                      const std::vector<oci::DeviceRule>& rules) {
  // In a user namespace no node can be made, and those that are bound are as open as they are to the user outside.
  if (host.rootless) {
    return {};
  }
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

template <class T>
void DropZero(std::optional<T>& value) {
  if (value == T{0}) {
    value.reset();
  }
}

}  // namespace

oci::Resources WithoutZeros(oci::Resources resources) {
  if (resources.memory) {
    DropZero(resources.memory->limit);
    DropZero(resources.memory->reservation);
    DropZero(resources.memory->swap);
    DropZero(resources.memory->kernel);
    DropZero(resources.memory->kernel_tcp);
  }
  if (resources.cpu) {
    DropZero(resources.cpu->shares);
    DropZero(resources.cpu->quota);
    DropZero(resources.cpu->period);
    DropZero(resources.cpu->realtime_runtime);
    DropZero(resources.cpu->realtime_period);
  }
  if (resources.block_io) {
    DropZero(resources.block_io->weight);
    DropZero(resources.block_io->leaf_weight);
  }
  if (resources.network) {
    DropZero(resources.network->class_id);
  }
  return resources;
}

Result<> Apply(const Host& host, const std::vector<oci::StateCgroup>& cgroups, const oci::Resources& given,
               std::vector<std::string>& warnings) {
  TRY(ApplyDevices(host, cgroups, given.devices));
  return Update(host, cgroups, given, warnings);
}

Result<> Update(const Host& host, const std::vector<oci::StateCgroup>& cgroups, const oci::Resources& given,
                std::vector<std::string>& warnings) {
  const oci::Resources resources = WithoutZeros(given);
  const std::string* unified = DirectoryOf(cgroups, "");
  if (unified != nullptr && host.unified()) {
    TRY(ApplyV2(*unified, resources, warnings));
  } else {
    TRY(ApplyV1(cgroups, resources, warnings));
  }
  return ApplyUnified(host, cgroups, resources.unified);
}

}  // namespace nucleus::cgroup
