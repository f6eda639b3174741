// A kept image: what is accepted is exactly what is written, and an owner is put into its messages or they are none.

#include "runtime/net/rule_image.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto image = nucleus::net::ParseRuleImage(bytes);
  if (!image) {
    return 0;
  }
  const auto again = nucleus::net::ParseRuleImage(nucleus::net::Format(*image));
  if (!again || again->batch != image->batch || again->digest != image->digest || again->rules != image->rules ||
      again->elements != image->elements) {
    std::abort();
  }
  constexpr std::size_t kOwnersAttribute = 8;
  const auto owned = nucleus::net::WithOwner(image->batch, "box");
  if (owned && owned->size() != image->batch.size() + kOwnersAttribute) {
    std::abort();
  }
  return 0;
}
