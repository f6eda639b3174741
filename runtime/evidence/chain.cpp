#include "runtime/evidence/chain.h"

#include <map>

#include "base/json_writer.h"
#include "base/sha256.h"
#include "oci-config/json_reader.h"

namespace nucleus::evidence {
namespace {

constexpr std::int32_t kVersion = 1;
constexpr std::string_view kBegin = "{\"v\":1,\"chain\":\"";

std::string_view KindName(ChainKind kind) {
  return kind == ChainKind::kFile ? "file" : "container";
}

// What of a line the chain is about.
struct Line {
  std::string chain;
  std::uint64_t sequence = 0;
  std::string previous;
  std::string id;
  std::string event;
  std::uint64_t lost = 0;
  std::uint64_t mended = 0;

  [[nodiscard]] bool first() const {
    return sequence == lost && previous == kNoLine;
  }
};

Result<Line> ParseLine(std::string_view text) {
  Line line;
  std::int32_t version = 0;
  std::string time;
  oci::JsonReader in{text, "line"};
  in.Object({{"v", version},
             {"chain", line.chain},
             {"seq", line.sequence},
             {"prev", line.previous},
             {"time", time},
             {"id", line.id},
             {"event", line.event},
             {"lost", line.lost},
             {"mended", line.mended}});
  in.Check(version == kVersion, "v", "unknown version");
  in.Check(line.chain == KindName(ChainKind::kFile) || line.chain == KindName(ChainKind::kContainer), "chain",
           "neither file nor container");
  in.Check(IsSha256Hex(line.previous), "prev", "no SHA-256");
  in.Check(!line.event.empty(), "event", "required");
  TRY(in.Finish());
  return line;
}

// Could these bytes be the beginning of a line that was not written to its end?
bool LooksTorn(std::string_view text) {
  return kBegin.starts_with(text.substr(0, kBegin.size()));
}

// One line less, from the front; whether it had its newline.
bool TakeLine(std::string_view& text, std::string_view& line) {
  const std::size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return end != std::string_view::npos;
}

}  // namespace

std::string FormatLine(ChainKind kind, const Link& link, std::uint64_t lost, std::string_view time,
                       const Event& event) {
  constexpr std::size_t kMostOfAWord = 2048;
  JsonWriter out;
  out.BeginObject();
  out.Key("v").Int(kVersion);
  out.Key("chain").String(KindName(kind));
  out.Key("seq").Uint(link.sequence);
  out.Key("prev").String(link.previous);
  out.Key("time").String(time);
  out.Key("id").String(std::string_view{event.id}.substr(0, 255));
  out.Key("event").String(event.kind);
  if (lost != 0) {
    out.Key("lost").Uint(lost);
  }
  if (link.mended != 0) {
    out.Key("mended").Uint(link.mended);
  }
  for (const auto& [key, value] : event.words) {
    out.Key(key).String(std::string_view{value}.substr(0, kMostOfAWord));
  }
  for (const auto& [key, value] : event.numbers) {
    out.Key(key).Int(value);
  }
  if (event.evidence != nullptr && !event.evidence->empty()) {
    out.Key("evidence").BeginObject();
    for (const auto& [key, value] : *event.evidence) {
      out.Key(key).String(value);
    }
    out.EndObject();
  }
  out.EndObject();
  return out.Take() + "\n";
}

Result<Link> FindLink(std::string_view tail, bool from_start) {
  Link link;
  link.open_line = !tail.empty() && tail.back() != '\n';
  if (!tail.empty() && !link.open_line) {
    tail.remove_suffix(1);
  }
  bool last = true;
  while (!tail.empty()) {
    const std::size_t before = tail.rfind('\n');
    const std::string_view line = before == std::string_view::npos ? tail : tail.substr(before + 1);
    tail = before == std::string_view::npos ? std::string_view{} : tail.substr(0, before);
    if (last) {
      link.previous = Sha256Hex(line);
    }
    last = false;
    if (const Result<Line> parsed = ParseLine(line)) {
      if (parsed->chain != KindName(ChainKind::kFile)) {
        return std::unexpected(Failure("it holds the events of a pipe or socket", EINVAL));
      }
      link.sequence = parsed->sequence + 1 + link.mended;
      return link;
    }
    if (!LooksTorn(line)) {
      return std::unexpected(Failure("it is not a file of events", EINVAL));
    }
    ++link.mended;
  }
  if (!from_start) {
    return std::unexpected(Failure("its last lines are no events", EINVAL));
  }
  link.sequence = link.mended;
  return link;
}

namespace {

// One chain on the way through the text.
struct Chain {
  std::uint64_t next = 0;
  std::string digest{kNoLine};  // of the last line
  bool ended = false;           // the container is gone: its id may begin a chain anew
};

// A line of the chain that is broken, for the diagnosis.
struct Known {
  std::uint64_t number;
  Line line;
  std::string digest;
};

// The lines of the same chain as `broken`'s up to that one, and the two that follow.
struct Surroundings {
  std::vector<Known> before;  // the last kMost
  std::vector<Known> after;
};

Surroundings LookAround(std::string_view text, std::uint64_t broken, const Line& line) {
  constexpr std::size_t kMost = 256;
  constexpr std::size_t kMostAfter = 2;
  Surroundings found;
  std::string_view next;
  for (std::uint64_t number = 1; !text.empty() && found.after.size() < kMostAfter; ++number) {
    TakeLine(text, next);
    if (number == broken) {
      continue;
    }
    Result<Line> parsed = next.size() < kMaxLine ? ParseLine(next) : std::unexpected(Error{});
    if (!parsed || (line.chain == KindName(ChainKind::kContainer) && parsed->id != line.id)) {
      continue;
    }
    Known known{.number = number, .line = std::move(*parsed), .digest = Sha256Hex(next)};
    if (number < broken) {
      if (found.before.size() == kMost) {
        found.before.erase(found.before.begin());
      }
      found.before.push_back(std::move(known));
    } else {
      found.after.push_back(std::move(known));
    }
  }
  return found;
}

std::string Number(std::uint64_t number) {
  return std::to_string(number);
}

// What happened, where line `number` does not hang on the one before: its digest is `digest`, and `chain` is what
// should have been.
void Diagnose(std::string_view text, std::uint64_t number, const Line& line, const std::string& digest,
              const Chain& chain, Verdict& verdict) {
  const Surroundings around = LookAround(text, number, line);
  const std::uint64_t expected = chain.next + line.lost + line.mended;
  verdict.bad_line = number;
  if (line.sequence > expected) {
    if (!around.after.empty() && around.after[0].line.sequence < line.sequence) {
      verdict.why = "lines are not in their order: number " + Number(line.sequence) + " of the chain comes before " +
                    Number(around.after[0].line.sequence);
    } else {
      verdict.why = Number(line.sequence - expected) + " lines were removed before it: it is number " +
                    Number(line.sequence) + " of the chain where " + Number(expected) + " should follow";
    }
    return;
  }
  for (const Known& known : around.before) {
    if (known.digest == digest) {
      verdict.why = "it is repeated: it is line " + Number(known.number) + " again";
      return;
    }
  }
  for (std::size_t back = around.before.size(); back-- > 0;) {
    const Known& known = around.before[back];
    if (known.digest == line.previous && back + 1 < around.before.size()) {
      verdict.bad_line = around.before[back + 1].number;
      verdict.why =
          "it was inserted, or is repeated: line " + Number(number) + " hangs on line " + Number(known.number);
      return;
    }
  }
  if (line.sequence < expected) {
    verdict.why = "it is repeated, inserted or not in its order: it is number " + Number(line.sequence) +
                  " of the chain where " + Number(expected) + " should follow";
    return;
  }
  // The numbers are right and the digests are not: the line before was changed, unless this one was, which the next
  // would not confirm.
  const bool confirmed = around.after.empty() || around.after[0].line.previous == digest;
  if (confirmed && !around.before.empty()) {
    verdict.bad_line = around.before.back().number;
    verdict.why = "it was changed: line " + Number(number) + " names another digest for it";
  } else {
    verdict.why = "it was changed: it does not name the digest of the line before";
  }
}

}  // namespace

Verdict VerifyChain(std::string_view text, std::string_view known_head) {
  constexpr std::size_t kMostTorn = 100;
  Verdict verdict;
  std::map<std::string, Chain> chains;
  std::string digest{kNoLine};  // of the line before, whatever it is
  std::uint64_t torn = 0;       // lines right before
  std::uint64_t all_torn = 0;
  bool head_seen = known_head.empty() || known_head == kNoLine;
  std::string_view rest = text;
  std::string_view bytes;
  const auto bad = [&verdict](std::string why) {
    verdict.bad_line = verdict.lines;
    verdict.why = std::move(why);
    return verdict;
  };
  while (!rest.empty()) {
    const bool whole = TakeLine(rest, bytes);
    ++verdict.lines;
    if (bytes.size() >= kMaxLine) {
      return bad("it is longer than a line may be");
    }
    const std::string before = std::move(digest);
    digest = Sha256Hex(bytes);
    verdict.head = digest;
    head_seen = head_seen || digest == known_head;
    if (!whole) {
      return bad("it is torn: it has no newline");
    }
    const Result<Line> line = ParseLine(bytes);
    if (!line) {
      if (!LooksTorn(bytes)) {
        return bad("it is no event: " + line.error().message);
      }
      ++torn;
      ++all_torn;
      if (verdict.torn.size() < kMostTorn) {
        verdict.torn.push_back(verdict.lines);
      }
      continue;
    }
    const ChainKind kind = line->chain == KindName(ChainKind::kFile) ? ChainKind::kFile : ChainKind::kContainer;
    if (verdict.kind && *verdict.kind != kind) {
      return bad("it is of another kind of chain than the lines before");
    }
    verdict.kind = kind;
    const bool file = kind == ChainKind::kFile;
    Chain& chain = chains[file ? std::string{} : line->id];
    if (chain.ended && line->first()) {
      chain = {};
    }
    verdict.lost += line->lost;
    const std::string& expected = file && torn != 0 ? before : chain.digest;
    // Lost events keep their numbers in the chain of a container, and have none in a file's.
    const std::uint64_t gap = file ? line->mended : line->lost;
    if (file && line->mended != torn) {
      verdict.torn.clear();
      return bad(torn == 0 ? "it tells of torn lines, and none is before it"
                           : "the line before it is no event, and this one does not say that it was torn");
    }
    if (line->previous != expected || line->sequence < gap || line->sequence - gap != chain.next) {
      Line seen = *line;
      if (file) {
        seen.lost = 0;
      }
      Diagnose(text, verdict.lines, seen, digest, chain, verdict);
      return verdict;
    }
    torn = file ? 0 : torn;
    chain = {.next = line->sequence + 1,
             .digest = digest,
             .ended = !file && (line->event == "deleted" || line->event == "failed" || line->event == "refused")};
  }
  if (verdict.kind == ChainKind::kFile ? torn != 0 : all_torn > verdict.lost) {
    return bad("it is no event");
  }
  if (!head_seen) {
    ++verdict.lines;
    bad("lines were removed at the end: none has the digest " + std::string{known_head});
    --verdict.lines;
  }
  return verdict;
}

}  // namespace nucleus::evidence
