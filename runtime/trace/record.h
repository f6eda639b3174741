// What a tracer has seen, as the text of its file: NDJSON, a header, then one line for each distinct thing with its
// count. Bounded, whatever the traced processes do. Docs: docs/learning.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nucleus::trace {

inline constexpr int kFormatVersion = 1;
inline constexpr std::string_view kHeaderStart = "{\"nucleusTrace\":";
inline constexpr std::string_view kEndStart = "{\"end\":true";
// A system call without a name: its number is what its line has for an argument.
inline constexpr std::string_view kUnknown = "unknown";

// Without a newline. `digest` is config.json's, 64 hex digits; `files`: files and connections are told of as well.
std::string FormatHeader(std::string_view id, std::string_view digest, bool files);

class Record {
 public:
  explicit Record(std::string_view header);

  // A call as seccomp_data has it.
  void AddSyscall(std::uint32_t architecture, int number, const std::array<std::uint64_t, 6>& arguments);
  // Anything else: `object` is a JSON object on one line without a count.
  void Add(std::string_view object);

  // The text with the counts of now. A line never moves and never changes its length: written over an older text, at
  // whatever point that is cut short, all whole lines are good.
  const std::string& Text();
  // Appends the last line. Nothing may be added after it.
  void End();

 private:
  static constexpr std::size_t kMaxArguments = 3;
  using Key = std::array<std::uint32_t, 2 + kMaxArguments>;
  struct Line {
    std::size_t at = 0;  // of the count's digits in text_
    std::uint64_t count = 0;
  };
  struct Syscall {
    std::string name;
    std::size_t distinct = 0;    // lines that it has
    std::size_t any = SIZE_MAX;  // the line for all arguments beyond kMaxDistinct
    unsigned arguments = 0;
    std::array<unsigned, kMaxArguments> index{};
    std::array<std::uint32_t, kMaxArguments> mask{};
  };
  std::size_t Append(std::string_view object);
  Syscall& Find(std::uint32_t token, int number);

  std::string text_;
  std::vector<Line> lines_;
  std::map<std::pair<std::uint32_t, int>, Syscall> syscalls_;
  std::map<Key, std::size_t> keys_;
  std::map<std::string, std::size_t, std::less<>> others_;
  std::uint64_t dropped_ = 0;
};

}  // namespace nucleus::trace
