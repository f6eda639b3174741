// `update --resources FILE`.

#include <cstdlib>

#include "oci-config/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto resources = nucleus::oci::ParseResources({reinterpret_cast<const char*>(data), size}, "r");
  if (!resources) {
    return 0;
  }
  // The names become file names in the cgroup.
  for (const auto& [file, value] : resources->unified) {
    if (file.empty() || file.find('/') != std::string::npos || file == "..") {
      std::abort();
    }
  }
  for (const auto& limit : resources->hugepage_limits) {
    if (limit.page_size.find('/') != std::string::npos) {
      std::abort();
    }
  }
  return 0;
}
