#include "front/service/log_format.h"

#include <array>
#include <cstdio>

#include "base/utf8.h"

namespace nucleus::front {
namespace {

constexpr std::string_view kEscape = "\\x";

// The length of the well-formed sequence that `text` begins with; 0: there is none.
std::size_t SequenceLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return length <= text.size() && IsValidUtf8(text.substr(0, length)) ? length : 0;
}

void AppendEscaped(std::string& out, unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += kEscape;
  out += kDigits[byte >> 4U];
  out += kDigits[byte & 0xfU];
}

int Digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte of `\xHH` at the beginning of `text`.
std::optional<char> Escaped(std::string_view text) {
  constexpr std::size_t kLength = 4;
  if (!text.starts_with(kEscape) || text.size() < kLength || Digit(text[2]) < 0 || Digit(text[3]) < 0) {
    return {};
  }
  return static_cast<char>(Digit(text[2]) * 16 + Digit(text[3]));
}

// Of an escaped text: how long the sequence that sets colours (ESC [ digits and semicolons m) at its beginning is.
std::size_t ColourLength(std::string_view text) {
  constexpr std::string_view kBegin = "\\x1b[";
  if (!text.starts_with(kBegin)) {
    return 0;
  }
  const std::size_t end = text.find_first_not_of("0123456789;", kBegin.size());
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 : 0;
}

constexpr std::array<std::string_view, 3> kStreams = {"stdout", "stderr", "nucleus"};

}  // namespace

std::string FormatTime(const timespec& time) {
  tm parts{};
  ::gmtime_r(&time.tv_sec, &parts);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, time.tv_nsec);
  return text.data();
}

std::string EscapeLog(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto first = static_cast<unsigned char>(bytes[0]);
    const std::size_t length = SequenceLength(bytes);
    // U+0080 to U+009F are control characters too.
    const bool control = (first < 0x20 && first != '\t') || first == 0x7f ||
                         (length == 2 && first == 0xc2 && static_cast<unsigned char>(bytes[1]) < 0xa0);
    if (length != 0 && !control && !bytes.starts_with(kEscape)) {
      out += bytes.substr(0, length);
      bytes.remove_prefix(length);
    } else {
      AppendEscaped(out, first);
      bytes.remove_prefix(1);
    }
  }
  return out;
}

std::string UnescapeLog(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::optional<char> byte = Escaped(text);
    out += byte ? *byte : text[0];
    text.remove_prefix(byte ? 4 : 1);
  }
  return out;
}

std::string FormatRecord(const timespec& time, Stream stream, bool whole, std::string_view bytes) {
  return FormatTime(time) + " " + std::string{kStreams.at(static_cast<std::size_t>(stream))} + (whole ? " F " : " P ") +
         EscapeLog(bytes) + "\n";
}

std::optional<LogRecord> ParseRecord(std::string_view line) {
  LogRecord record;
  const std::size_t time = line.find(' ');
  const std::size_t stream = time == std::string_view::npos ? time : line.find(' ', time + 1);
  if (stream == std::string_view::npos || line.size() < stream + 3 || line[stream + 2] != ' ' ||
      (line[stream + 1] != 'F' && line[stream + 1] != 'P')) {
    return {};
  }
  record.time = line.substr(0, time);
  const std::string_view name = line.substr(time + 1, stream - time - 1);
  for (std::size_t i = 0; i < kStreams.size(); ++i) {
    if (name == kStreams.at(i)) {
      record.stream = static_cast<Stream>(i);
      record.whole = line[stream + 1] == 'F';
      record.text = line.substr(stream + 3);
      return record;
    }
  }
  return {};
}

std::string ForTerminal(std::string_view text, bool colours) {
  if (!colours) {
    return std::string{text};
  }
  std::string out;
  bool coloured = false;
  while (!text.empty()) {
    if (const std::size_t length = ColourLength(text); length != 0) {
      constexpr std::size_t kEscaped = 4;  // \x1b
      out += '\x1b';
      out += text.substr(kEscaped, length - kEscaped);
      coloured = true;
      text.remove_prefix(length);
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return coloured ? out + "\x1b[0m" : out;
}

void LineSplitter::Feed(std::string_view bytes, const Emit& emit) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t part = std::min({newline, bytes.size(), kMostOfALine - line_.size()});
    line_ += bytes.substr(0, part);
    bytes.remove_prefix(part);
    if (part == newline) {
      bytes.remove_prefix(1);
      emit(true, line_);
      line_.clear();
    } else if (line_.size() == kMostOfALine) {
      emit(false, line_);
      line_.clear();
    }
  }
}

void LineSplitter::Flush(const Emit& emit) {
  if (!line_.empty()) {
    emit(false, line_);
    line_.clear();
  }
}

}  // namespace nucleus::front
