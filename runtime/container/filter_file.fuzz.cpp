// A filter file: what is accepted is exactly what is written.

#include "runtime/container/filter_file.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto program = nucleus::container::ParseFilter(bytes, "f");
  if (!program) {
    return 0;
  }
  const std::string again = nucleus::container::FormatFilter(*program);
  // The listener's word is a boolean; all else is kept.
  if (again.size() != bytes.size() || again.substr(16) != bytes.substr(16)) {
    std::abort();
  }
  return 0;
}
