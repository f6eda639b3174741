// Reads JSON into typed values, with the path of the property in every error.
//
// yajl's events are laid on a flat tape (checked JSON, no tree); Read functions then walk it once. Errors are sticky:
// the first one is kept, and everything after it does nothing, so that the Read functions read like the specification.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace nucleus::oci {

class JsonReader {
 public:
  // A property of an object and the value it is read into.
  struct Field {
    template <class T>
    Field(std::string_view property, T& value)
        : name(property), target(&value), read([](JsonReader& in, void* to) { Read(in, *static_cast<T*>(to)); }) {
    }
    std::string_view name;
    void* target;
    void (*read)(JsonReader&, void*);
  };

  // kConfig is the runtime specification's way: unknown properties are ignored, one given twice counts the last time.
  // kPolicy is for documents that somebody reviews: both are errors, as null is, and errors name the line
  // ("FILE:3: syscalls[0].action: ...").
  enum class Rules { kConfig, kPolicy };

  // Checks `json` as a whole; `name` begins every error. `json` must outlive the reader.
  JsonReader(std::string_view json, std::string_view name, Rules rules = Rules::kConfig);

  // ---- for Read functions

  // An object: listed fields are read. What becomes of null ones and of others is a matter of the rules.
  void Object(std::initializer_list<Field> fields);
  template <class Visit>  // Visit(key), which must read or Skip() the value
  void Map(Visit visit);
  template <class Visit>  // Visit(index), likewise
  void Array(Visit visit);
  void Skip();

  bool Boolean();
  std::int64_t Integer(std::int64_t least, std::int64_t most);
  std::uint64_t Unsigned(std::uint64_t most);
  std::string_view Text();  // no NUL byte in it; valid until the reader goes

  // Records an error at the property being read, or at `below` it.
  void Fail(std::string_view message);
  void FailAt(std::string_view below, std::string_view message);
  void Check(bool holds, std::string_view below, std::string_view message) {
    if (!holds) {
      FailAt(below, message);
    }
  }
  [[nodiscard]] bool failed() const {
    return error_.has_value();
  }

  // The error, or nothing when the whole text was read.
  Result<> Finish();

 private:
  enum class Kind : char { kObject, kObjectEnd, kArray, kArrayEnd, kKey, kString, kNumber, kTrue, kFalse, kNull, kEnd };
  struct Token {
    Kind kind;
    std::uint32_t size;
    const char* text;
  };
  struct Tape;

  [[nodiscard]] Kind Peek() const {
    return failed() ? Kind::kEnd : tokens_[at_].kind;
  }
  [[nodiscard]] std::string_view TextOf(const Token& token) const {
    return {token.text, token.size};
  }
  // True, and one token on, when the next is of this kind; else an error.
  bool Expect(Kind kind, std::string_view expected);
  void Load(std::string_view json);

  // Of the token that was read last, in kPolicy.
  [[nodiscard]] std::size_t Line() const;

  std::string_view json_;
  std::string name_;
  Rules rules_;
  std::string path_;
  std::vector<Token> tokens_;
  std::deque<std::string> unescaped_;
  std::size_t at_ = 0;
  std::optional<Error> error_;
};

// ---- Read for the ordinary types

inline void Read(JsonReader& in, bool& out) {
  out = in.Boolean();
}
inline void Read(JsonReader& in, std::string& out) {
  out = in.Text();
}
inline void Read(JsonReader& in, std::int32_t& out) {
  out = static_cast<std::int32_t>(in.Integer(INT32_MIN, INT32_MAX));
}
inline void Read(JsonReader& in, std::int64_t& out) {
  out = in.Integer(INT64_MIN, INT64_MAX);
}
inline void Read(JsonReader& in, std::uint16_t& out) {
  out = static_cast<std::uint16_t>(in.Unsigned(UINT16_MAX));
}
inline void Read(JsonReader& in, std::uint32_t& out) {
  out = static_cast<std::uint32_t>(in.Unsigned(UINT32_MAX));
}
inline void Read(JsonReader& in, std::uint64_t& out) {
  out = in.Unsigned(UINT64_MAX);
}
template <class T>
void Read(JsonReader& in, std::optional<T>& out) {
  Read(in, out.emplace());
}
template <class T>
void Read(JsonReader& in, std::vector<T>& out) {
  out.clear();
  in.Array([&](std::size_t) { Read(in, out.emplace_back()); });
}
template <class T>
void Read(JsonReader& in, std::map<std::string, T>& out) {
  out.clear();
  in.Map([&](std::string_view key) { Read(in, out[std::string{key}]); });
}

// A word out of a closed list. `what` names the list in the error: unknown namespace type "x".
template <class T>
void ReadWord(JsonReader& in, T& out, std::string_view what,
              std::initializer_list<std::pair<std::string_view, T>> words) {
  const std::string_view text = in.Text();
  for (const auto& [word, value] : words) {
    if (word == text) {
      out = value;
      return;
    }
  }
  if (!in.failed()) {
    in.Fail("unknown " + std::string{what} + " \"" + std::string{text} + "\"");
  }
}

// ---- implementation of the templates

template <class Visit>
void JsonReader::Map(Visit visit) {
  if (!Expect(Kind::kObject, "object")) {
    return;
  }
  const std::size_t length = path_.size();
  while (!failed() && tokens_[at_].kind == Kind::kKey) {
    const std::string_view key = TextOf(tokens_[at_++]);
    path_ += "[\"" + std::string{key} + "\"]";
    visit(key);
    path_.resize(length);
  }
  ++at_;
}

template <class Visit>
void JsonReader::Array(Visit visit) {
  if (!Expect(Kind::kArray, "array")) {
    return;
  }
  const std::size_t length = path_.size();
  for (std::size_t index = 0; !failed() && tokens_[at_].kind != Kind::kArrayEnd; ++index) {
    path_ += "[" + std::to_string(index) + "]";
    visit(index);
    path_.resize(length);
  }
  ++at_;
}

}  // namespace nucleus::oci
