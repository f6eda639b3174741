// config.json from anybody: a Spec, or one bounded line that says what is wrong.

#include "oci-config/parse.h"

#include <cstdlib>

#include "oci-config/annotations.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto spec = nucleus::oci::ParseSpec({reinterpret_cast<const char*>(data), size}, "config.json");
  if (spec) {
    (void)nucleus::oci::ParseAnnotations(spec->annotations);
    // What the rest of the code relies on.
    if (spec->root.path.empty() || (spec->process && (spec->process->args.empty() || spec->process->cwd[0] != '/'))) {
      std::abort();
    }
    return 0;
  }
  const std::string& message = spec.error().message;
  if (!message.starts_with("config.json:") || message.find('\n') != std::string::npos || message.size() > 1024) {
    std::abort();
  }
  return 0;
}
