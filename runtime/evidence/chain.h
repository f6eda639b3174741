// The event stream's lines and what chains them (docs/evidence.md defines both to the byte). Pure: text in, text out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::evidence {

// A line with its newline. What is in one is bounded far below; a reader takes nothing longer for a line.
inline constexpr std::size_t kMaxLine = std::size_t{64} << 10;

// What a chain begins with in place of a line's digest.
inline constexpr std::string_view kNoLine = "0000000000000000000000000000000000000000000000000000000000000000";

// A chain goes through all lines of a file, or, where a pipe or socket gets them, through those of one container.
enum class ChainKind { kFile, kContainer };

struct Event {
  std::string_view kind;  // "created", ...
  std::string id;         // of the container
  std::vector<std::pair<std::string_view, std::string>> words;
  std::vector<std::pair<std::string_view, std::int64_t>> numbers;
  const oci::StringMap* evidence = nullptr;
};

// Where the next line is hung on.
struct Link {
  std::uint64_t sequence = 0;
  std::string previous{kNoLine};  // SHA-256 of the line before
  std::uint64_t mended = 0;       // lines right before it that are torn
  bool open_line = false;         // the line before has no newline yet
};

// The line with its newline. `lost`: events that could not be written since the line before.
std::string FormatLine(ChainKind kind, const Link& link, std::uint64_t lost, std::string_view time, const Event& event);

// The link that the end of a file gives. `tail` ends where the file does, and begins with a line or is its beginning
// (`from_start`). An error where that is no file of events.
Result<Link> FindLink(std::string_view tail, bool from_start);

// ---- verification: the text is hostile

struct Verdict {
  std::uint64_t lines = 0;
  std::uint64_t bad_line = 0;       // from 1; 0: all lines are good
  std::string why;                  // of the bad line
  std::vector<std::uint64_t> torn;  // numbers of torn lines that were mended, the first hundred
  std::uint64_t lost = 0;           // events that their writers could not write
  std::string head{kNoLine};        // SHA-256 of the last line
  std::optional<ChainKind> kind;    // of the lines; none in an empty file
};

// `known_head`: a digest that was the head once, empty for none: a text that has no such line has lost its end.
Verdict VerifyChain(std::string_view text, std::string_view known_head = {});

}  // namespace nucleus::evidence
