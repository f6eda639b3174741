// Annotations, a line each: key, '=', value.

#include "oci-config/annotations.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  nucleus::oci::StringMap map;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : text.size());
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) {
      map[std::string{line.substr(0, equals)}] = line.substr(equals + 1);
    }
  }
  const auto parsed = nucleus::oci::ParseAnnotations(map);
  if (!parsed) {
    return 0;
  }
  (void)nucleus::oci::RefuseUnsupported(*parsed);
  for (const auto* pin : {&parsed->seccomp_policy, &parsed->capabilities_policy, &parsed->landlock_policy,
                          &parsed->egress_policy, &parsed->rootfs_manifest, &parsed->gvisor_runsc}) {
    if (!*pin) {
      continue;
    }
    const bool leaves = (*pin)->path[0] != '/' && ("/" + (*pin)->path + "/").find("/../") != std::string::npos;
    if ((*pin)->path.empty() || leaves || ((*pin)->digest.size() != 64 && !(*pin)->digest.empty())) {
      std::abort();
    }
  }
  return 0;
}
