// state.json: what was read can be written, and reads the same.

#include "oci-config/state.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto state = nucleus::oci::ParseState({reinterpret_cast<const char*>(data), size}, "s");
  if (!state) {
    return 0;
  }
  const std::string text = nucleus::oci::FormatState(*state);
  const auto again = nucleus::oci::ParseState(text, "s");
  if (!again || nucleus::oci::FormatState(*again) != text) {
    std::abort();
  }
  (void)nucleus::oci::FormatOciState(*state, "running");
  (void)nucleus::oci::FormatContainerProcessState(*state, "running", 1, state->id);
  return 0;
}
