// Mount options, a line each.

#include "runtime/plan/mount_options.h"

#include <sys/mount.h>

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  std::vector<std::string> options;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : text.size());
    options.emplace_back(line);
  }
  const auto parsed = nucleus::plan::ParseMountOptions(options);
  // Nothing is set and cleared at once but the access-time field, which is cleared whole or not at all.
  const auto consistent = [](std::uint64_t set, std::uint64_t clear) {
    const std::uint64_t field = MOUNT_ATTR__ATIME;
    return (set & clear & ~field) == 0 && ((clear & field) == 0 ? (set & field) == 0 : (clear & field) == field);
  };
  if (!consistent(parsed.set, parsed.clear) || !consistent(parsed.recursive_set, parsed.recursive_clear)) {
    std::abort();
  }
  return 0;
}
