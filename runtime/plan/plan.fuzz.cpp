// config.json → Plan, on a host that has everything.

#include "runtime/plan/plan.h"

#include <cstdlib>

#include "oci-config/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto spec = nucleus::oci::ParseSpec({reinterpret_cast<const char*>(data), size}, "config.json");
  if (!spec) {
    return 0;
  }
  nucleus::plan::Host host;
  host.euid = size % 2 == 0 ? 0 : 1000;
  host.capability_bounding = 0x1ffffffffff;
  host.cgroups.hierarchies = {{.name = "",
                               .controllers = {"memory", "pids"},
                               .mount_point = "/sys/fs/cgroup",
                               .mount_root = "/",
                               .own_path = "/a/b"}};
  const auto annotations = nucleus::oci::ParseAnnotations(spec->annotations);
  if (!annotations) {
    return 0;
  }
  const auto plan =
      nucleus::plan::MakePlan(*spec, {.id = "id", .bundle = "/bundle", .annotations = *annotations}, host);
  if (!plan) {
    return 0;
  }
  // Every target is absolute, and without a mount namespace nothing is mounted.
  if (!plan->namespaces.Has(CLONE_NEWNS) && !plan->rootfs.mounts.empty()) {
    std::abort();
  }
  for (const auto& node : plan->rootfs.devices) {
    if (node.path[0] != '/') {
      std::abort();
    }
  }
  return 0;
}
