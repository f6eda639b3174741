#include "runtime/attest/escape.h"

namespace nucleus::attest {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

bool IsPlain(char c) {
  return c > ' ' && c < '\x7f' && c != '\\';
}

}  // namespace

void AppendEscaped(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    if (IsPlain(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
}

std::string Escape(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  AppendEscaped(text, bytes);
  return text;
}

Result<std::string> Unescape(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (IsPlain(text[i])) {
      bytes += text[i];
      continue;
    }
    if (text[i] != '\\') {
      return std::unexpected(Failure("a byte that must be escaped"));
    }
    // find() of a view's end would be a digit of its own: the size is looked at first.
    if (text.size() - i < 4 || text[i + 1] != 'x' || kDigits.find(text[i + 2]) == std::string_view::npos ||
        kDigits.find(text[i + 3]) == std::string_view::npos) {
      return std::unexpected(Failure("a backslash that is not followed by x and two of 0-9a-f"));
    }
    const char byte = static_cast<char>((kDigits.find(text[i + 2]) << 4) | kDigits.find(text[i + 3]));
    if (byte == '\0') {
      return std::unexpected(Failure("a NUL byte in a name"));
    }
    if (IsPlain(byte)) {
      return std::unexpected(Failure("an escape of a byte that stands for itself"));
    }
    bytes += byte;
    i += 3;
  }
  return bytes;
}

}  // namespace nucleus::attest
