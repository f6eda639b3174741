#include "base/json_writer.h"

#include <yajl/yajl_gen.h>

namespace nucleus {
namespace {

// Length of the well-formed UTF-8 sequence that `text` begins with, 0 for none (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto tail = [&byte](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      if ((byte(i) & 0xC0U) != 0x80U) {
        return false;
      }
    }
    return true;
  };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return tail(1, 2) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    return tail(1, 3) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90;
    const bool beyond = first == 0xF4 && byte(1) > 0x8F;
    return tail(1, 4) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

std::string ValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = SequenceLength(text);
    if (length == 0) {
      valid += "\xEF\xBF\xBD";
      text.remove_prefix(1);
    } else {
      valid += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return valid;
}

}  // namespace

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
