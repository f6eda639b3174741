#include "runtime/telemetry/pairs.h"

#include <charconv>
#include <optional>

namespace nucleus::telemetry {
namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos ? std::string_view{}
                                         : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::optional<std::string> Decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc{} || digits.size() != 2 || end != digits.data() + 2) {
      return std::nullopt;
    }
    plain += static_cast<char>(byte);
    i += 2;
  }
  return plain;
}

}  // namespace

Result<Pairs> ParsePairs(std::string_view text) {
  Pairs pairs;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t comma = text.find(',');
    const std::string_view member = Trimmed(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (member.empty()) {
      continue;
    }
    const auto wrong = [number](const char* what) {
      return std::unexpected(Failure("member " + std::to_string(number) + " " + what, EINVAL));
    };
    const std::size_t equals = member.find('=');
    const std::string_view name = Trimmed(member.substr(0, equals));
    if (equals == std::string_view::npos || name.empty()) {
      return wrong("is not NAME=VALUE");
    }
    std::optional<std::string> value = Decoded(Trimmed(member.substr(equals + 1)));
    std::optional<std::string> plain = Decoded(name);
    if (!value || !plain) {
      return wrong("has a % without two hex digits");
    }
    pairs.emplace_back(*std::move(plain), *std::move(value));
  }
  return pairs;
}

}  // namespace nucleus::telemetry
