#define TOML_IMPLEMENTATION  // NOLINT(cppcoreguidelines-macro-usage): toml++'s own code is compiled here

#include "policies/toml.h"

#include <algorithm>
#include <set>

#include "base/utf8.h"

namespace nucleus::policies {

std::string KeyPath(std::string_view where, std::string_view key) {
  return std::string{where} + (where.empty() || key.empty() ? "" : ".") + std::string{key};
}

TomlReader::TomlReader(std::string_view text, std::string name) : name_(std::move(name)) {
  // The format has no other encoding, and toml++ counts on it further on than it looks.
  if (!IsValidUtf8(text)) {
    std::size_t line = 1;
    for (std::string_view rest = text; IsValidUtf8(rest.substr(0, rest.find('\n'))); ++line) {
      rest.remove_prefix(rest.find('\n') + 1);
    }
    FailAtLine(line, "", "is not valid UTF-8");
    return;
  }
  toml::parse_result parsed = toml::parse(text);
  if (parsed) {
    root_ = std::move(parsed).table();
    return;
  }
  const toml::parse_error& error = parsed.error();
  FailAtLine(error.source().begin.line, "", error.description());
}

void TomlReader::FailAtLine(std::size_t line, std::string_view key, std::string_view message) {
  if (failed()) {
    return;
  }
  // Bounded and on one line, whatever the document holds.
  constexpr std::size_t kMaxPart = 256;
  std::string text = name_ + ":" + std::to_string(std::max<std::size_t>(line, 1)) + ": ";
  text += std::string{key.substr(0, kMaxPart)} + (key.empty() ? "" : ": ");
  text += message.substr(0, kMaxPart * 2);
  error_ = Failure(std::move(text), EINVAL);
}

void TomlReader::Fail(const toml::node& at, std::string_view key, std::string_view message) {
  FailAtLine(at.source().begin.line, key, message);
}

void TomlReader::OnlyKeys(const toml::table& table, std::string_view where,
                          std::initializer_list<std::string_view> known) {
  for (const auto& [key, node] : table) {
    if (std::ranges::find(known, key.str()) == known.end()) {
      FailAtLine(key.source().begin.line, KeyPath(where, key.str()), "unknown key");
      return;
    }
  }
}

template <class T>
const T* TomlReader::Find(const toml::table& table, std::string_view where, std::string_view key,
                          std::string_view expected) {
  const toml::node* node = table.get(key);
  if (failed() || node == nullptr) {
    return nullptr;
  }
  const T* value = node->as<T>();
  if (value == nullptr) {
    Fail(*node, KeyPath(where, key), expected);
  }
  return value;
}

std::optional<TomlText> TomlReader::Text(const toml::table& table, std::string_view where, std::string_view key) {
  const toml::value<std::string>* text = Find<toml::value<std::string>>(table, where, key, "expected a string");
  if (text == nullptr) {
    return {};
  }
  if (text->get().find('\0') != std::string::npos) {
    Fail(*text, KeyPath(where, key), "a string with a NUL character");
    return {};
  }
  return TomlText{.value = text->get(), .node = text, .key = KeyPath(where, key)};
}

std::optional<std::int64_t> TomlReader::Integer(const toml::table& table, std::string_view where, std::string_view key,
                                                std::int64_t least, std::int64_t most) {
  const toml::value<std::int64_t>* number = Find<toml::value<std::int64_t>>(table, where, key, "expected an integer");
  if (number == nullptr) {
    return {};
  }
  if (number->get() < least || number->get() > most) {
    Fail(*number, KeyPath(where, key), "must be from " + std::to_string(least) + " to " + std::to_string(most));
    return {};
  }
  return number->get();
}

std::optional<bool> TomlReader::Boolean(const toml::table& table, std::string_view where, std::string_view key) {
  const toml::value<bool>* value = Find<toml::value<bool>>(table, where, key, "expected true or false");
  if (value == nullptr) {
    return {};
  }
  return value->get();
}

std::optional<std::vector<TomlText>> TomlReader::Texts(const toml::table& table, std::string_view where,
                                                       std::string_view key) {
  const toml::array* array = Find<toml::array>(table, where, key, "expected an array of strings");
  if (array == nullptr) {
    return {};
  }
  std::vector<TomlText> texts;
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const toml::node& element = *array->get(i);
    const std::string path = KeyPath(where, key) + "[" + std::to_string(i) + "]";
    const toml::value<std::string>* text = element.as_string();
    if (text == nullptr) {
      Fail(element, path, "expected a string");
      return {};
    }
    if (!seen.insert(text->get()).second) {
      Fail(element, path, "\"" + text->get() + "\" is there twice");
      return {};
    }
    texts.push_back({.value = text->get(), .node = &element, .key = path});
  }
  return texts;
}

const toml::table* TomlReader::Table(const toml::table& table, std::string_view where, std::string_view key) {
  return Find<toml::table>(table, where, key, "expected a table");
}

std::vector<TomlReader::Element> TomlReader::Tables(const toml::table& table, std::string_view where,
                                                    std::string_view key) {
  const toml::array* array = Find<toml::array>(table, where, key, "expected tables: [[" + KeyPath(where, key) + "]]");
  if (array == nullptr) {
    return {};
  }
  std::vector<Element> elements;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const toml::node& element = *array->get(i);
    std::string path = KeyPath(where, key) + "[" + std::to_string(i) + "]";
    if (!element.is_table()) {
      Fail(element, path, "expected a table");
      return {};
    }
    elements.push_back({.table = element.as_table(), .where = std::move(path)});
  }
  return elements;
}

Result<> TomlReader::Finish() const {
  return error_ ? std::unexpected(*error_) : Result<>{};
}

}  // namespace nucleus::policies
