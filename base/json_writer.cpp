#include "base/json_writer.h"

#include <yajl/yajl_gen.h>

#include "base/utf8.h"

namespace nucleus {

struct JsonWriter::Impl {
  yajl_gen gen = yajl_gen_alloc(nullptr);
  std::string indent;

  void Text(std::string_view text) {
    const std::string valid = ValidUtf8(text);
    yajl_gen_string(gen, reinterpret_cast<const unsigned char*>(valid.data()), valid.size());
  }
};

JsonWriter::JsonWriter(int indent) : impl_(std::make_unique<Impl>()) {
  if (indent > 0) {
    impl_->indent.assign(static_cast<std::size_t>(indent), ' ');
    yajl_gen_config(impl_->gen, yajl_gen_beautify, 1);
    yajl_gen_config(impl_->gen, yajl_gen_indent_string, impl_->indent.c_str());
  }
}

JsonWriter::~JsonWriter() {
  yajl_gen_free(impl_->gen);
}

JsonWriter& JsonWriter::BeginObject() {
  yajl_gen_map_open(impl_->gen);
  return *this;
}

JsonWriter& JsonWriter::EndObject() {
  yajl_gen_map_close(impl_->gen);
  return *this;
}

JsonWriter& JsonWriter::BeginArray() {
  yajl_gen_array_open(impl_->gen);
  return *this;
}

JsonWriter& JsonWriter::EndArray() {
  yajl_gen_array_close(impl_->gen);
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  impl_->Text(key);
  return *this;
}

JsonWriter& JsonWriter::String(std::string_view value) {
  impl_->Text(value);
  return *this;
}

JsonWriter& JsonWriter::Int(std::int64_t value) {
  const std::string text = std::to_string(value);
  yajl_gen_number(impl_->gen, text.data(), text.size());
  return *this;
}

JsonWriter& JsonWriter::Uint(std::uint64_t value) {
  const std::string text = std::to_string(value);
  yajl_gen_number(impl_->gen, text.data(), text.size());
  return *this;
}

JsonWriter& JsonWriter::Double(double value) {
  yajl_gen_double(impl_->gen, value);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  yajl_gen_bool(impl_->gen, value ? 1 : 0);
  return *this;
}

JsonWriter& JsonWriter::Null() {
  yajl_gen_null(impl_->gen);
  return *this;
}

std::string JsonWriter::Take() {
  const unsigned char* text = nullptr;
  std::size_t size = 0;
  yajl_gen_get_buf(impl_->gen, &text, &size);
  std::string result{reinterpret_cast<const char*>(text), size};
  while (!result.empty() && result.back() == '\n') {
    result.pop_back();
  }
  return result;
}

}  // namespace nucleus
