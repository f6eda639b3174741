// Layout of the new program:
//
//   load the architecture, and a comparison for each that the filter knows
//   for each, and for all others: load the number, and a binary search over ranges of numbers with the same end
//   the answers
//   what looks at arguments, as it was
//
// It is built from its end to its beginning: jumps lead forward, to what is there by then.

#include "runtime/confine/seccomp_shrink.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace nucleus::confine {
namespace {

constexpr std::uint32_t kArchitecture = offsetof(seccomp_data, arch);
constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kAnswer = BPF_RET | BPF_K;
constexpr std::uint16_t kJump = BPF_JMP | BPF_JA;
constexpr std::uint16_t kEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr std::uint16_t kAbove = BPF_JMP | BPF_JGT | BPF_K;
constexpr std::uint16_t kFrom = BPF_JMP | BPF_JGE | BPF_K;

using Filter = std::vector<sock_filter>;

bool IsCondition(const sock_filter& instruction) {
  return BPF_CLASS(instruction.code) == BPF_JMP && instruction.code != kJump;
}

// Where the comparisons of architecture and number end: at an answer, or the index of the instruction that loads
// something else. One type of set and one of map for all there is to remember, as each makes the program larger.
using End = std::size_t;
constexpr End kIsAnswer = End{1} << 32;
using Numbers = std::set<std::size_t>;
using Places = std::map<std::size_t, std::size_t>;

class Reader {
 public:
  explicit Reader(const Filter& filter) : filter_(filter) {
    for (const sock_filter& instruction : filter) {
      if (IsCondition(instruction)) {
        bounds_.insert(instruction.k);
        bounds_.insert(std::uint32_t{instruction.k + 1});
      }
    }
    bounds_.insert(0);
  }

  // Nothing where something else than comparisons with constants decides.
  std::optional<End> Follow(std::uint32_t architecture, std::uint32_t number) {
    std::optional<std::uint32_t> loaded;  // its offset
    for (std::size_t at = 0; at < filter_.size();) {
      const sock_filter& instruction = filter_[at];
      const std::uint32_t value = loaded == kArchitecture ? architecture : number;
      if (instruction.code == kAnswer) {
        return kIsAnswer | instruction.k;
      }
      if (instruction.code == kLoad) {
        if (instruction.k != kArchitecture && instruction.k != kNumber) {
          return at;
        }
        loaded = instruction.k;
        ++at;
        continue;
      }
      if (instruction.code == kJump) {
        at += std::size_t{instruction.k} + 1;
        continue;
      }
      const bool equal = instruction.code == kEqual;
      if (!loaded || (!equal && instruction.code != kAbove && instruction.code != kFrom) ||
          (!equal && loaded == kArchitecture)) {
        return std::nullopt;
      }
      if (loaded == kArchitecture) {
        architectures_.insert(instruction.k);
      }
      const bool taken = equal ? value == instruction.k
                               : value > instruction.k || (instruction.code == kFrom && value == instruction.k);
      at += std::size_t{taken ? instruction.jt : instruction.jf} + 1;
    }
    return std::nullopt;
  }

  // Between two of these every comparison has the same result.
  [[nodiscard]] const Numbers& bounds() const {
    return bounds_;
  }
  // Those that Follow has met.
  [[nodiscard]] const Numbers& architectures() const {
    return architectures_;
  }
  // One that no comparison names.
  [[nodiscard]] std::uint32_t OtherArchitecture() const {
    std::uint32_t other = 0;
    while (bounds_.contains(other)) {
      ++other;
    }
    return other;
  }

 private:
  const Filter& filter_;
  Numbers bounds_;
  Numbers architectures_;
};

// From its first number up to the next one's.
struct Range {
  std::uint32_t first = 0;
  End end = 0;
};

std::optional<std::vector<Range>> RangesOf(Reader& reader, std::uint32_t architecture) {
  std::vector<Range> ranges;
  for (const std::size_t bound : reader.bounds()) {
    const auto first = static_cast<std::uint32_t>(bound);
    const std::optional<End> end = reader.Follow(architecture, first);
    if (!end) {
      return std::nullopt;
    }
    if (ranges.empty() || ranges.back().end != *end) {
      ranges.push_back({.first = first, .end = *end});
    }
  }
  return ranges;
}

// Places are counted from the end of the program.
class Writer {
 public:
  std::size_t Emit(std::uint16_t code, std::uint32_t k) {
    out_.push_back({.code = code, .jt = 0, .jf = 0, .k = k});
    return out_.size() - 1;
  }

  std::size_t Condition(std::uint16_t code, std::uint32_t k, std::size_t yes, std::size_t no) {
    // What is out of reach of a condition is not of a jump.
    constexpr std::size_t kReach = 250;
    for (std::size_t* target : {&yes, &no}) {
      if (out_.size() - *target > kReach) {
        *target = Emit(kJump, static_cast<std::uint32_t>(out_.size() - *target - 1));
      }
    }
    out_.push_back({.code = code,
                    .jt = static_cast<std::uint8_t>(out_.size() - yes - 1),
                    .jf = static_cast<std::uint8_t>(out_.size() - no - 1),
                    .k = k});
    return out_.size() - 1;
  }

  // All of `filter` that is reached from `starts`; its places are told by index.
  Places Copy(const Filter& filter, const Numbers& starts) {
    Numbers reached = starts;
    for (const std::size_t at : reached) {  // grows at its end while it is walked
      const sock_filter& instruction = filter[at];
      if (instruction.code == kJump) {
        reached.insert(at + instruction.k + 1);
      } else if (IsCondition(instruction)) {
        reached.insert(at + instruction.jt + 1);
        reached.insert(at + instruction.jf + 1);
      } else if (BPF_CLASS(instruction.code) != BPF_RET) {
        reached.insert(at + 1);
      }
    }
    Places places;
    for (auto at = reached.rbegin(); at != reached.rend(); ++at) {
      sock_filter instruction = filter[*at];
      const auto distance = [&](std::size_t target) { return out_.size() - places.at(target) - 1; };
      // In the same order, and with less between: no distance grows.
      if (instruction.code == kJump) {
        instruction.k = static_cast<std::uint32_t>(distance(*at + instruction.k + 1));
      } else if (IsCondition(instruction)) {
        instruction.jt = static_cast<std::uint8_t>(distance(*at + instruction.jt + 1));
        instruction.jf = static_cast<std::uint8_t>(distance(*at + instruction.jf + 1));
      }
      out_.push_back(instruction);
      places[*at] = out_.size() - 1;
    }
    return places;
  }

  Filter Take() {
    return {out_.rbegin(), out_.rend()};
  }

 private:
  Filter out_;
};

class Shrinker {
 public:
  explicit Shrinker(const Filter& filter) : filter_(filter), reader_(filter) {
  }

  std::optional<Filter> Shrink() {
    if (!Read()) {
      return std::nullopt;
    }
    Numbers ends;
    for (const auto& [architecture, ranges] : ranges_) {
      for (const Range& range : ranges) {
        ends.insert(range.end);
      }
    }
    const auto answers = ends.lower_bound(kIsAnswer);
    places_ = writer_.Copy(filter_, {ends.begin(), answers});
    const Places copied = places_;
    for (auto answer = answers; answer != ends.end(); ++answer) {
      places_[*answer] = writer_.Emit(kAnswer, static_cast<std::uint32_t>(*answer));
    }
    std::size_t next = Tree(reader_.OtherArchitecture());
    // The first that the filter asks for is asked for first.
    for (const std::size_t architecture : reader_.architectures()) {
      if (architecture != First()) {
        next = Ask(static_cast<std::uint32_t>(architecture), next);
      }
    }
    if (!reader_.architectures().empty()) {
      Ask(First(), next);
      writer_.Emit(kLoad, kArchitecture);
    }
    Filter result = writer_.Take();
    return Same(result, copied) ? std::optional{std::move(result)} : std::nullopt;
  }

 private:
  // Each architecture that turns up may lead to more.
  bool Read() {
    if (!ReadOf(reader_.OtherArchitecture())) {
      return false;
    }
    for (const std::size_t architecture : Numbers{reader_.architectures()}) {
      if (!ReadOf(static_cast<std::uint32_t>(architecture))) {
        return false;
      }
    }
    return ranges_.size() == reader_.architectures().size() + 1;
  }

  bool ReadOf(std::uint32_t architecture) {
    std::optional<std::vector<Range>> ranges = RangesOf(reader_, architecture);
    if (!ranges) {
      return false;
    }
    ranges_.emplace_back(architecture, *std::move(ranges));
    return true;
  }

  [[nodiscard]] const std::vector<Range>& Of(std::uint32_t architecture) const {
    return std::ranges::find(ranges_, architecture, [](const auto& entry) { return entry.first; })->second;
  }

  [[nodiscard]] std::uint32_t First() const {
    for (const sock_filter& instruction : filter_) {
      if (instruction.code == kEqual && reader_.architectures().contains(instruction.k)) {
        return instruction.k;
      }
    }
    return static_cast<std::uint32_t>(*reader_.architectures().begin());
  }

  std::size_t Ask(std::uint32_t architecture, std::size_t next) {
    const std::size_t tree = Tree(architecture);
    return writer_.Condition(kEqual, architecture, tree, next);
  }

  std::size_t Tree(std::uint32_t architecture) {
    const std::vector<Range>& ranges = Of(architecture);
    if (ranges.size() == 1) {
      return places_.at(ranges[0].end);
    }
    Search(ranges, 0, ranges.size());
    return writer_.Emit(kLoad, kNumber);
  }

  // Where the search among ranges [from, to) begins.
  std::size_t Search(const std::vector<Range>& ranges, std::size_t from, std::size_t to) {
    const std::size_t count = to - from;
    if (count == 1) {
      return places_.at(ranges[from].end);
    }
    // One number among others.
    if (count == 3 && ranges[from].end == ranges[from + 2].end &&
        ranges[from + 2].first - ranges[from + 1].first == 1) {
      return writer_.Condition(kEqual, ranges[from + 1].first, places_.at(ranges[from + 1].end),
                               places_.at(ranges[from].end));
    }
    std::size_t middle = from + count / 2;
    if ((middle - from) % 2 == 0 && middle + 1 < to) {
      ++middle;
    }
    const std::size_t above = Search(ranges, middle, to);
    const std::size_t below = Search(ranges, from, middle);
    return writer_.Condition(kFrom, ranges[middle].first, above, below);
  }

  // Has the new program the ends of the old one? Not that there were a doubt: a filter is no place for one.
  bool Same(const Filter& result, const Places& copied) {
    Reader after{result};
    for (const auto& [architecture, ranges] : ranges_) {
      for (const std::size_t bound : reader_.bounds()) {
        for (const std::size_t number : {bound - 1, bound, bound + 1}) {
          const std::optional<End> was = reader_.Follow(architecture, static_cast<std::uint32_t>(number));
          const std::optional<End> is = after.Follow(architecture, static_cast<std::uint32_t>(number));
          if (!was || !is || *is != (*was >= kIsAnswer ? *was : result.size() - 1 - copied.at(*was))) {
            return false;
          }
        }
      }
    }
    return true;
  }

  const Filter& filter_;
  Reader reader_;
  std::vector<std::pair<std::uint32_t, std::vector<Range>>> ranges_;  // by architecture
  Places places_;                                                     // of ends
  Writer writer_;
};

}  // namespace

std::vector<sock_filter> ShrinkFilter(const std::vector<sock_filter>& filter) {
  std::optional<Filter> shorter = Shrinker{filter}.Shrink();
  return shorter && shorter->size() < filter.size() ? *std::move(shorter) : filter;
}

}  // namespace nucleus::confine
