// Writes JSON through yajl's generator, so that strings are always escaped right.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace nucleus {

class JsonWriter {
 public:
  // `indent` spaces a level, 0 for one line.
  explicit JsonWriter(int indent = 0);
  ~JsonWriter();
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view key);
  // Bytes that are not UTF-8 become U+FFFD: the output is always valid JSON.
  JsonWriter& String(std::string_view value);
  JsonWriter& Int(std::int64_t value);
  JsonWriter& Uint(std::uint64_t value);
  JsonWriter& Double(double value);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  // The text so far, without a final newline.
  [[nodiscard]] std::string Take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nucleus
