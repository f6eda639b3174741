// `exec --process FILE`.

#include <cstdlib>

#include "oci-config/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto process = nucleus::oci::ParseProcess({reinterpret_cast<const char*>(data), size}, "p");
  if (process && (process->args.empty() || process->cwd[0] != '/' || process->user.uid == UINT32_MAX)) {
    std::abort();
  }
  return 0;
}
