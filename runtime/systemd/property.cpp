#include "runtime/systemd/property.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "base/decimal.h"

namespace nucleus::systemd {
namespace {

constexpr std::string_view kPrefix = "org.systemd.property.";

struct TypeWord {
  std::string_view word;
  char code;
};

constexpr auto kTypeWords = std::to_array<TypeWord>({{"boolean", 'b'},
                                                     {"byte", 'y'},
                                                     {"int16", 'n'},
                                                     {"uint16", 'q'},
                                                     {"int32", 'i'},
                                                     {"uint32", 'u'},
                                                     {"int64", 'x'},
                                                     {"uint64", 't'},
                                                     {"double", 'd'},
                                                     {"string", 's'},
                                                     {"objectpath", 'o'},
                                                     {"signature", 'g'}});

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool IsLower(char c) {
  return c >= 'a' && c <= 'z';
}

bool IsLetter(char c) {
  return IsLower(c) || (c >= 'A' && c <= 'Z');
}

template <class T>
std::optional<std::string> Canonical(std::string_view digits, bool negative) {
  unsigned long long magnitude = 0;
  int base = 10;
  if (digits.size() > 1 && digits[0] == '0') {
    base = digits[1] == 'x' || digits[1] == 'X' ? 16 : 8;
    digits.remove_prefix(base == 16 ? 2 : 1);
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  const auto most = static_cast<unsigned long long>(std::numeric_limits<T>::max());
  if (negative) {
    if (!std::is_signed_v<T> || magnitude > most + 1) {
      return std::nullopt;
    }
    return (magnitude == 0 ? "" : "-") + std::to_string(magnitude);
  }
  return magnitude > most ? std::nullopt : std::optional{std::to_string(magnitude)};
}

std::optional<std::string> CanonicalInteger(char type, std::string_view digits, bool negative) {
  switch (type) {
    case 'y':
      return Canonical<unsigned char>(digits, negative);
    case 'n':
      return Canonical<short>(digits, negative);
    case 'q':
      return Canonical<unsigned short>(digits, negative);
    case 'i':
      return Canonical<int>(digits, negative);
    case 'u':
      return Canonical<unsigned>(digits, negative);
    case 'x':
      return Canonical<long long>(digits, negative);
    case 't':
      return Canonical<unsigned long long>(digits, negative);
    default:
      return std::nullopt;
  }
}

std::optional<std::string> CanonicalDouble(std::string_view text) {
  const std::optional<Decimal> value = ParseDecimal(text);
  return value && value->size == text.size() ? std::optional{std::string{text}} : std::nullopt;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
  }

  Result<Property> Parse() {
    Property value;
    TRY(Value(value));
    SkipSpace();
    if (at_ != text_.size()) {
      return Wrong("unexpected text after the value");
    }
    return value;
  }

 private:
  [[nodiscard]] std::unexpected<Error> Wrong(std::string_view what) const {
    return std::unexpected(Failure(std::string{what} + " at character " + std::to_string(at_ + 1), EINVAL));
  }

  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) {
      ++at_;
    }
  }

  [[nodiscard]] char Peek() const {
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  std::string_view Word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (IsLetter(text_[at_]) || (text_[at_] >= '0' && text_[at_] <= '9'))) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  // The whole value, with the type that stands in front of it.
  Result<> Value(Property& out) {
    SkipSpace();
    std::string type;
    if (Peek() == '@') {
      ++at_;
      const std::size_t begin = at_;
      while (at_ < text_.size() && !IsSpace(text_[at_])) {
        ++at_;
      }
      type = text_.substr(begin, at_ - begin);
      SkipSpace();
      const std::string_view element = std::string_view{type}.substr(type.starts_with('a') ? 1 : 0);
      if (element.size() != 1 || std::string_view{"bynqiuxtdsog"}.find(element) == std::string_view::npos) {
        return Wrong("a type that is not supported");
      }
    }
    if (Peek() == '[') {
      return Array(type, out);
    }
    if (type.starts_with('a')) {
      return Wrong("an array is expected");
    }
    out.items.emplace_back();
    char code = type.empty() ? '\0' : type[0];
    TRY(Basic(code, out.items.back()));
    out.signature = std::string(1, code);
    return {};
  }

  Result<> Array(const std::string& type, Property& out) {
    constexpr std::size_t kMaxItems = 4096;
    ++at_;
    char code = type.empty() ? '\0' : type[1];
    if (!type.empty() && type[0] != 'a') {
      return Wrong("a single value is expected");
    }
    SkipSpace();
    while (Peek() != ']') {
      if (!out.items.empty()) {
        if (Peek() != ',') {
          return Wrong("\",\" or \"]\" is expected");
        }
        ++at_;
        SkipSpace();
      }
      if (out.items.size() == kMaxItems) {
        return Wrong("too many items");
      }
      out.items.emplace_back();
      TRY(Basic(code, out.items.back()));
      SkipSpace();
    }
    ++at_;
    if (code == '\0') {
      return Wrong("an empty array needs its type in front (@as [])");
    }
    out.signature = std::string{"a"} + code;
    return {};
  }

  // One value of a basic type. `code`: the type that is expected, or none yet; then it is set.
  Result<> Basic(char& code, std::string& out) {
    const char next = Peek();
    if (next == '\'' || next == '"') {
      if (code == '\0') {
        code = 's';
      }
      if (code != 's' && code != 'o' && code != 'g') {
        return Wrong("a string where another type is expected");
      }
      return Quoted(out);
    }
    if (IsLower(next)) {
      const std::size_t begin = at_;
      const std::string_view word = Word();
      if (word == "true" || word == "false") {
        return Boolean(code, word, out);
      }
      for (const TypeWord& row : kTypeWords) {
        if (row.word == word) {
          if (code != '\0' && code != row.code) {
            return Wrong("values of different types");
          }
          code = row.code;
          SkipSpace();
          return Basic(code, out);
        }
      }
      at_ = begin;
      return Wrong("an unknown word");
    }
    return Numeric(code, out);
  }

  Result<> Boolean(char& code, std::string_view word, std::string& out) {
    if (code == '\0') {
      code = 'b';
    }
    if (code != 'b') {
      return Wrong("a boolean where another type is expected");
    }
    out = word;
    return {};
  }

  Result<> Numeric(char& code, std::string& out) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (IsLetter(text_[at_]) || (text_[at_] >= '0' && text_[at_] <= '9') ||
                                  text_[at_] == '+' || text_[at_] == '-' || text_[at_] == '.')) {
      ++at_;
    }
    std::string_view number = text_.substr(begin, at_ - begin);
    if (number.starts_with('+')) {
      number.remove_prefix(1);
    }
    const bool hexadecimal = number.find('x') != std::string_view::npos;
    const bool fraction = !hexadecimal && number.find_first_of(".eE") != std::string_view::npos;
    if (code == '\0') {
      code = fraction ? 'd' : 'i';
    }
    const bool negative = number.starts_with('-');
    const std::optional<std::string> value =
        code == 'd' ? CanonicalDouble(number) : CanonicalInteger(code, number.substr(negative ? 1 : 0), negative);
    if (!value) {
      at_ = begin;
      return Wrong(number.empty() ? "a value is expected" : "not a number of its type");
    }
    out = *value;
    return {};
  }

  Result<> Quoted(std::string& out) {
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\\') {
        if (at_ == text_.size()) {
          break;
        }
        c = text_[at_++];
        constexpr std::string_view kFrom = "abfnrtv";
        constexpr std::string_view kTo = "\a\b\f\n\r\t\v";
        const std::size_t known = kFrom.find(c);
        if (c == 'u' || c == 'U') {
          return Wrong("an escape that is not supported");
        }
        c = known == std::string_view::npos ? c : kTo[known];
      }
      if (c == '\0') {
        return Wrong("a character that no string has");
      }
      out += c;
    }
    if (at_ == text_.size()) {
      return Wrong("the string has no end");
    }
    ++at_;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Result<Property> SecondsToMicroseconds(const Property& value) {
  constexpr std::uint64_t kPerSecond = 1000000;
  constexpr std::string_view kNumbers = "ynqiuxtd";
  if (value.signature.size() != 1 || kNumbers.find(value.signature) == std::string_view::npos) {
    return std::unexpected(Failure("a number of seconds is expected", EINVAL));
  }
  const std::string& text = value.items[0];
  if (value.signature == "d") {
    const double seconds = ParseDecimal(text).value_or(Decimal{}).value;
    constexpr double kMost = 1e12;
    if (seconds < 0 || seconds > kMost) {
      return std::unexpected(Failure("a number of seconds is expected", ERANGE));
    }
    return Number("", static_cast<std::uint64_t>(seconds * static_cast<double>(kPerSecond)));
  }
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() ||
      seconds > std::numeric_limits<std::uint64_t>::max() / kPerSecond) {
    return std::unexpected(Failure("a number of seconds is expected", ERANGE));
  }
  return Number("", seconds * kPerSecond);
}

Result<Property> FromAnnotation(std::string_view name, std::string_view text) {
  constexpr std::size_t kLeast = 3;
  if (name.size() < kLeast || !std::all_of(name.begin(), name.end(), IsLetter)) {
    return std::unexpected(Failure("not the name of a property: letters only", EINVAL));
  }
  // What process is in the unit, where that is, and to whom it belongs: a bundle could take over any process with it.
  for (const std::string_view own : {"PIDs", "PIDFDs", "Slice", "Delegate", "ControlGroup", "Controller"}) {
    if (name == own) {
      return std::unexpected(Failure("set by the runtime itself", EPERM));
    }
  }
  Property property = TRY(ParseVariant(text));
  constexpr std::string_view kSeconds = "Sec";
  // CPUQuotaPerSecUSec and its like are meant as they are.
  if (name.size() > kSeconds.size() && name.ends_with(kSeconds) && IsLower(name[name.size() - kSeconds.size() - 1])) {
    property = TRY(SecondsToMicroseconds(property));
    property.name = std::string{name.substr(0, name.size() - kSeconds.size())} + "USec";
    return property;
  }
  property.name = name;
  return property;
}

}  // namespace

Property Text(std::string name, std::string value) {
  return {.name = std::move(name), .signature = "s", .items = {std::move(value)}};
}

Property Flag(std::string name, bool value) {
  return {.name = std::move(name), .signature = "b", .items = {value ? "true" : "false"}};
}

Property Number(std::string name, std::uint64_t value) {
  return {.name = std::move(name), .signature = "t", .items = {std::to_string(value)}};
}

Result<Property> ParseVariant(std::string_view text) {
  return Parser{text}.Parse();
}

Result<std::vector<Property>> AnnotatedProperties(const oci::StringMap& annotations) {
  std::vector<Property> properties;
  for (const auto& [key, text] : annotations) {
    if (key.starts_with(kPrefix)) {
      const std::string where = "annotations[\"" + key + "\"]";
      Set(properties, TRY_IN(where, FromAnnotation(std::string_view{key}.substr(kPrefix.size()), text)));
    }
  }
  return properties;
}

void Set(std::vector<Property>& properties, Property property) {
  for (Property& other : properties) {
    if (other.name == property.name) {
      other = std::move(property);
      return;
    }
  }
  properties.push_back(std::move(property));
}

}  // namespace nucleus::systemd
