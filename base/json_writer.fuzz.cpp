// Any bytes: what the writer makes of them is valid JSON.

#include "base/json_writer.h"

#include <yajl/yajl_parse.h>

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const std::size_t middle = size / 2;
  nucleus::JsonWriter out{static_cast<int>(size % 4)};
  out.BeginObject().Key(bytes.substr(0, middle)).String(bytes.substr(middle)).EndObject();
  const std::string json = out.Take();
  yajl_handle parser = yajl_alloc(nullptr, nullptr, nullptr);
  const bool valid =
      yajl_parse(parser, reinterpret_cast<const unsigned char*>(json.data()), json.size()) == yajl_status_ok &&
      yajl_complete_parse(parser) == yajl_status_ok;
  yajl_free(parser);
  if (!valid) {
    std::abort();
  }
  return 0;
}
