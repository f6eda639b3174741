// A manifest from anybody: what is accepted is written back byte for byte, and its paths stay in the tree.

#include "runtime/attest/manifest.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace nucleus::attest;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto manifest = ParseManifest(text, "manifest");
  if (!manifest) {
    if (manifest.error().message.find('\n') != std::string::npos) {
      std::abort();
    }
    return 0;
  }
  std::string again{HeaderOf(*manifest)};
  for (const Entry& entry : manifest->entries) {
    AppendEntry(again, *manifest, entry);
    if (entry.path.find("/../") != std::string::npos || entry.path.ends_with("/..") ||
        (entry.path != "/" && (entry.path.ends_with('/') || entry.parent == kNone))) {
      std::abort();
    }
  }
  if (again != text) {
    std::abort();
  }
  return 0;
}
