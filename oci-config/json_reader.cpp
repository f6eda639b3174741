#include "oci-config/json_reader.h"

#include <yajl/yajl_parse.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/utf8.h"
#include "oci-config/parse.h"

namespace nucleus::oci {
namespace {

// A real config.json has a few thousand values. Bounds what a hostile one can make us hold.
constexpr std::size_t kMaxTokens = std::size_t{1} << 20;

}  // namespace

// yajl's callbacks; returning 0 stops the parser.
struct JsonReader::Tape {
  JsonReader* reader;
  std::string_view json;
  yajl_handle parser = nullptr;
  int depth = 0;
  const char* refused = nullptr;

  int Add(Kind kind, const char* text = nullptr, std::size_t size = 0) {
    if (reader->tokens_.size() >= kMaxTokens) {
      refused = "too many values";
      return 0;
    }
    if (text == nullptr) {
      // Where it ended, for the line in errors.
      text = json.data() + std::min(yajl_get_bytes_consumed(parser), json.size());
    }
    reader->tokens_.push_back({.kind = kind, .size = static_cast<std::uint32_t>(size), .text = text});
    return 1;
  }
  int Open(Kind kind) {
    if (++depth > kMaxJsonDepth) {
      refused = "nested too deeply";
      return 0;
    }
    return Add(kind);
  }
  int Close(Kind kind) {
    --depth;
    return Add(kind);
  }
  // yajl hands out a pointer into the text, or, for strings with escapes, into a buffer that it reuses.
  int AddText(Kind kind, const unsigned char* bytes, std::size_t size) {
    const char* text = reinterpret_cast<const char*>(bytes);
    if (size != 0 && std::memchr(text, '\0', size) != nullptr) {
      refused = "a string with a NUL character";
      return 0;
    }
    // yajl lets surrogates and overlong forms through. They could not be written again as they are, and two names that
    // differ in nothing else would become one.
    if (!IsValidUtf8({text, size})) {
      refused = "a string that is not valid UTF-8";
      return 0;
    }
    if (text < json.data() || text + size > json.data() + json.size()) {
      text = reader->unescaped_.emplace_back(text, size).data();
    }
    return Add(kind, text, size);
  }
  static Tape& Of(void* context) {
    return *static_cast<Tape*>(context);
  }
};

JsonReader::JsonReader(std::string_view json, std::string_view name, Rules rules)
    : json_(json), name_(name), rules_(rules) {
  Load(json);
}

void JsonReader::Load(std::string_view json) {
  static constexpr yajl_callbacks kCallbacks = {
      .yajl_null = [](void* tape) { return Tape::Of(tape).Add(Kind::kNull); },
      .yajl_boolean = [](void* tape, int value) { return Tape::Of(tape).Add(value != 0 ? Kind::kTrue : Kind::kFalse); },
      .yajl_integer = nullptr,
      .yajl_double = nullptr,
      .yajl_number =
          [](void* tape, const char* text, std::size_t size) {
            return Tape::Of(tape).AddText(Kind::kNumber, reinterpret_cast<const unsigned char*>(text), size);
          },
      .yajl_string = [](void* tape, const unsigned char* text,
                        std::size_t size) { return Tape::Of(tape).AddText(Kind::kString, text, size); },
      .yajl_start_map = [](void* tape) { return Tape::Of(tape).Open(Kind::kObject); },
      .yajl_map_key = [](void* tape, const unsigned char* text,
                         std::size_t size) { return Tape::Of(tape).AddText(Kind::kKey, text, size); },
      .yajl_end_map = [](void* tape) { return Tape::Of(tape).Close(Kind::kObjectEnd); },
      .yajl_start_array = [](void* tape) { return Tape::Of(tape).Open(Kind::kArray); },
      .yajl_end_array = [](void* tape) { return Tape::Of(tape).Close(Kind::kArrayEnd); },
  };
  if (json.size() > kMaxConfigBytes) {
    error_ = Failure(name_ + ": larger than " + std::to_string(kMaxConfigBytes >> 20) + " MiB", EFBIG);
    return;
  }
  Tape tape{.reader = this, .json = json};
  tokens_.reserve(std::min<std::size_t>(json.size() / 8, kMaxTokens) + 2);
  const std::unique_ptr<yajl_handle_t, void (*)(yajl_handle)> parser{yajl_alloc(&kCallbacks, nullptr, &tape),
                                                                     yajl_free};
  tape.parser = parser.get();
  const auto* bytes = reinterpret_cast<const unsigned char*>(json.data());
  yajl_status status = yajl_parse(parser.get(), bytes, json.size());
  if (status == yajl_status_ok) {
    status = yajl_complete_parse(parser.get());
  }
  if (status == yajl_status_ok) {
    tokens_.push_back({.kind = Kind::kEnd, .size = 0, .text = nullptr});
    return;
  }
  const std::size_t offset = std::min(yajl_get_bytes_consumed(parser.get()), json.size());
  const std::string_view before = json.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t column = offset - (before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1) + 1;
  std::string why = tape.refused != nullptr ? tape.refused : "malformed JSON";
  if (tape.refused == nullptr) {
    unsigned char* words = yajl_get_error(parser.get(), 0, bytes, json.size());
    std::string detail{reinterpret_cast<const char*>(words)};
    yajl_free_error(parser.get(), words);
    while (!detail.empty() && (detail.back() == '\n' || detail.back() == ' ')) {
      detail.pop_back();
    }
    const std::size_t colon = detail.find(": ");
    why = colon == std::string::npos ? detail : detail.substr(colon + 2);
  }
  error_ = Failure(name_ + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + why, EINVAL);
}

void JsonReader::FailAt(std::string_view below, std::string_view message) {
  if (failed()) {
    return;
  }
  std::string where = path_;
  if (!below.empty()) {
    where += where.empty() || below.front() == '[' ? "" : ".";
    where += below;
  }
  // Bounded and on one line, whatever the keys of a hostile document are.
  constexpr std::size_t kMaxPath = 256;
  if (where.size() > kMaxPath) {
    where = where.substr(0, kMaxPath) + "...";
  }
  const std::string line = rules_ == Rules::kPolicy ? ":" + std::to_string(Line()) : "";
  std::string text = name_ + line + ": " + where + (where.empty() ? "" : ": ");
  constexpr std::size_t kMaxMessage = 512;
  text += message.substr(0, kMaxMessage);
  error_ = Failure(std::move(text), EINVAL);
}

std::size_t JsonReader::Line() const {
  // Strings with escapes lie elsewhere: the token before tells.
  for (std::size_t at = std::min(at_, tokens_.size()); at-- > 0;) {
    const char* text = tokens_[at].text;
    if (text >= json_.data() && text <= json_.data() + json_.size()) {
      const std::string_view before = json_.substr(0, static_cast<std::size_t>(text - json_.data()));
      return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    }
  }
  return 1;
}

void JsonReader::Fail(std::string_view message) {
  FailAt("", message);
}

bool JsonReader::Expect(Kind kind, std::string_view expected) {
  if (failed()) {
    return false;
  }
  if (tokens_[at_].kind != kind) {
    Fail("expected " + std::string{expected});
    return false;
  }
  ++at_;
  return true;
}

void JsonReader::Object(std::initializer_list<Field> fields) {
  if (!Expect(Kind::kObject, "object")) {
    return;
  }
  const std::size_t length = path_.size();
  std::uint64_t seen = 0;
  while (!failed() && tokens_[at_].kind == Kind::kKey) {
    const std::string_view key = TextOf(tokens_[at_++]);
    const auto* field =
        std::find_if(fields.begin(), fields.end(), [key](const Field& candidate) { return candidate.name == key; });
    if (rules_ == Rules::kPolicy) {
      if (field == fields.end()) {
        FailAt(key, "unknown key");
        return;
      }
      const std::uint64_t bit = std::uint64_t{1} << (field - fields.begin());
      if ((seen & bit) != 0) {
        FailAt(key, "given twice");
        return;
      }
      seen |= bit;
    } else if (field == fields.end() || tokens_[at_].kind == Kind::kNull) {
      Skip();
      continue;
    }
    path_ += path_.empty() ? "" : ".";
    path_ += key;
    field->read(*this, field->target);
    path_.resize(length);
  }
  ++at_;
}

void JsonReader::Skip() {
  int depth = 0;
  do {
    switch (Peek()) {
      case Kind::kObject:
      case Kind::kArray:
        ++depth;
        break;
      case Kind::kObjectEnd:
      case Kind::kArrayEnd:
        --depth;
        break;
      case Kind::kEnd:
        return;
      default:
        break;
    }
    ++at_;
  } while (depth > 0);
}

bool JsonReader::Boolean() {
  if (Peek() == Kind::kTrue) {
    ++at_;
    return true;
  }
  Expect(Kind::kFalse, "boolean");
  return false;
}

std::int64_t JsonReader::Integer(std::int64_t least, std::int64_t most) {
  if (!Expect(Kind::kNumber, "integer")) {
    return 0;
  }
  const std::string_view text = TextOf(tokens_[at_ - 1]);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range || (error == std::errc{} && (value < least || value > most))) {
    Fail("out of range");
  } else if (error != std::errc{} || end != text.data() + text.size()) {
    Fail("expected integer");
  }
  return value;
}

std::uint64_t JsonReader::Unsigned(std::uint64_t most) {
  if (!Expect(Kind::kNumber, "integer")) {
    return 0;
  }
  const std::string_view text = TextOf(tokens_[at_ - 1]);
  if (text.starts_with('-') && text != "-0") {
    Fail(text.find_first_of(".eE") == std::string_view::npos ? "out of range" : "expected integer");
    return 0;
  }
  std::uint64_t value = 0;
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range || (error == std::errc{} && value > most)) {
    Fail("out of range");
  } else if (error != std::errc{} || end != digits.data() + digits.size()) {
    Fail("expected integer");
  }
  return value;
}

std::string_view JsonReader::Text() {
  if (!Expect(Kind::kString, "string")) {
    return {};
  }
  return TextOf(tokens_[at_ - 1]);
}

Result<> JsonReader::Finish() {
  if (error_) {
    return std::unexpected(*error_);
  }
  return {};
}

}  // namespace nucleus::oci
