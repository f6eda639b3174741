#include "runtime/attest/manifest.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>

#include "runtime/attest/escape.h"

namespace nucleus::attest {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kSha256Mark = "sha256:";
constexpr std::string_view kVerityMark = "verity=sha256:";
constexpr std::string_view kXattrMark = "xattr:";
constexpr std::string_view kHardLink = "hardlink";

// Limits of the kernel: what is beyond them cannot be in a tree.
constexpr std::size_t kLongestPath = PATH_MAX - 1;
constexpr std::size_t kLongestName = NAME_MAX;
constexpr std::size_t kLongestXattrName = 255;        // XATTR_NAME_MAX
constexpr std::uint32_t kLastMajor = (1U << 12) - 1;  // MINORBITS in include/linux/kdev_t.h
constexpr std::uint32_t kLastMinor = (1U << 20) - 1;
constexpr std::uint32_t kLastId = UINT32_MAX - 1;  // -1 is no id: chown(2)
// The longest line is far shorter: a path, a target, and the names and values that fit into XATTR_LIST_MAX (64 KiB).
constexpr std::size_t kLongestLine = std::size_t{4} << 20;

constexpr auto kTypeNames = std::to_array<std::string_view>({"dir", "file", "link", "char", "block", "fifo", "socket"});

void AppendNumber(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits{};
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

void AppendXattrs(std::string& out, const Entry& entry) {
  for (const Xattr& xattr : entry.xattrs) {
    out += ' ';
    out += kXattrMark;
    AppendEscaped(out, xattr.name);
    out += '=';
    out += xattr.value;
  }
}

// ---- reading

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Failure(std::move(message), EINVAL));
}

// The fields of a line, each divided from the next by one space.
class Fields {
 public:
  explicit Fields(std::string_view line) : rest_(line) {
  }
  [[nodiscard]] bool AtEnd() const {
    return ended_;
  }
  // Empty where there is none; no field may be empty.
  std::string_view Next() {
    const std::size_t end = rest_.find(' ');
    const std::string_view field = rest_.substr(0, end);
    ended_ = end == std::string_view::npos;
    rest_ = ended_ ? std::string_view{} : rest_.substr(end + 1);
    return field;
  }
  // The next field where it begins with `mark`; without the mark.
  std::optional<std::string_view> NextIf(std::string_view mark) {
    if (ended_ || !rest_.starts_with(mark)) {
      return std::nullopt;
    }
    return Next().substr(mark.size());
  }

 private:
  std::string_view rest_;
  bool ended_ = false;
};

template <class T>
Result<T> Number(std::string_view text, T most, std::string_view what) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text[0] == '-' ||
      (text.size() > 1 && text[0] == '0') || value > most) {
    return Bad("bad " + std::string{what});
  }
  return value;
}

// "A:B", each at most its limit.
Result<> Pair(std::string_view text, std::uint32_t& one, std::uint32_t most_one, std::uint32_t& other,
              std::uint32_t most_other, std::string_view what) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    return Bad("bad " + std::string{what});
  }
  one = TRY(Number(text.substr(0, colon), most_one, what));
  other = TRY(Number(text.substr(colon + 1), most_other, what));
  return {};
}

Result<std::uint32_t> Mode(std::string_view text) {
  if (text.size() != 4 || text.find_first_not_of("01234567") != std::string_view::npos) {
    return Bad("bad mode: four octal digits");
  }
  std::uint32_t mode = 0;
  for (const char digit : text) {
    mode = mode * 8 + static_cast<std::uint32_t>(digit - '0');
  }
  return mode;
}

Result<Sha256::Digest> Digest(std::string_view text, std::string_view what) {
  if (!IsSha256Hex(text)) {
    return Bad("bad " + std::string{what} + ": 64 of 0-9a-f");
  }
  Sha256::Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<unsigned char>((kHexDigits.find(text[2 * i]) << 4) | kHexDigits.find(text[2 * i + 1]));
  }
  return digest;
}

Result<std::string> Path(std::string_view text) {
  std::string path = TRY_IN("path", Unescape(text));
  if (!path.starts_with('/')) {
    return Bad("the path does not begin with /");
  }
  if (path.size() > kLongestPath) {
    return Bad("the path is too long");
  }
  for (std::size_t from = 1; path.size() > 1 && from <= path.size();) {
    const std::size_t end = std::min(path.find('/', from), path.size());
    const std::string_view name = std::string_view{path}.substr(from, end - from);
    if (name.empty() || name == "." || name == ".." || name.size() > kLongestName) {
      return Bad("the path has a component that is empty, \".\", \"..\" or too long");
    }
    from = end + 1;
  }
  return path;
}

Result<Xattr> ReadXattr(std::string_view field) {
  // A value has no '='; a name may.
  const std::size_t equals = field.rfind('=');
  if (equals == std::string_view::npos) {
    return Bad("an xattr without =");
  }
  Xattr xattr{.name = TRY_IN("xattr", Unescape(field.substr(0, equals))),
              .value = std::string{field.substr(equals + 1)}};
  if (xattr.name.size() > kLongestXattrName || xattr.name.find('.') == std::string::npos) {
    return Bad("bad name of an xattr");
  }
  if (IsHostXattr(xattr.name)) {
    return Bad("the xattr " + xattr.name + " is the host's and has no place in a manifest");
  }
  const std::string_view value = xattr.value;
  const bool digest = value.starts_with(kSha256Mark) && IsSha256Hex(value.substr(kSha256Mark.size()));
  const bool bytes = value.size() % 2 == 0 && value.size() <= 2 * kLongestXattr &&
                     value.find_first_not_of(kHexDigits) == std::string_view::npos;
  if (!digest && !bytes) {
    return Bad("bad value of the xattr " + Escape(xattr.name));
  }
  return xattr;
}

// What stands between the type and the xattrs.
Result<> ReadFacts(Fields& fields, Entry& entry) {
  if (entry.type != Type::kLink) {
    entry.mode = TRY(Mode(fields.Next()));
  }
  TRY(Pair(fields.Next(), entry.uid, kLastId, entry.gid, kLastId, "owner"));
  switch (entry.type) {
    case Type::kFile:
      entry.size = TRY(Number<std::uint64_t>(fields.Next(), INT64_MAX, "size"));
      entry.content = TRY(Digest(fields.Next(), "digest of the content"));
      if (const std::optional<std::string_view> verity = fields.NextIf(kVerityMark)) {
        entry.verity = TRY(Digest(*verity, "fs-verity digest"));
      }
      return {};
    case Type::kLink:
      entry.target = TRY_IN("target", Unescape(fields.Next()));
      return entry.target.empty() || entry.target.size() > kLongestPath ? Result<>{Bad("bad target")} : Result<>{};
    case Type::kCharacter:
    case Type::kBlock:
      return Pair(fields.Next(), entry.major, kLastMajor, entry.minor, kLastMinor, "device number");
    case Type::kDirectory:
    case Type::kFifo:
    case Type::kSocket:
      return {};
  }
  return {};
}

Result<> ReadHardLink(Fields& fields, const Manifest& manifest, Entry& entry) {
  if (manifest.store) {
    return Bad("a hard link, and the first line says that none are told");
  }
  const std::string first = TRY(Path(fields.Next()));
  entry.first = manifest.Find(first);
  if (entry.first == kNone) {
    return Bad("a hard link of " + Escape(first) + ", which does not stand before it");
  }
  const Entry& described = manifest.entries[entry.first];
  if (described.first != kNone || described.type == Type::kDirectory) {
    return Bad("a hard link of " + Escape(first) + ", which is " +
               (described.first != kNone ? "not the first of its names" : "a directory"));
  }
  return {};
}

Result<Entry> ReadEntry(std::string_view line, const Manifest& manifest) {
  Fields fields{line};
  Entry entry;
  entry.path = TRY(Path(fields.Next()));
  const std::string_view type = fields.Next();
  if (type == kHardLink) {
    TRY(ReadHardLink(fields, manifest, entry));
  } else {
    const auto* const found = std::ranges::find(kTypeNames, type);
    if (found == kTypeNames.end()) {
      return Bad("unknown type \"" + Escape(type) + "\"");
    }
    entry.type = static_cast<Type>(found - kTypeNames.begin());
    TRY(ReadFacts(fields, entry));
    while (const std::optional<std::string_view> field = fields.NextIf(kXattrMark)) {
      Xattr xattr = TRY(ReadXattr(*field));
      if (!entry.xattrs.empty() && entry.xattrs.back().name >= xattr.name) {
        return Bad("the xattrs are not sorted, or one is there twice");
      }
      entry.xattrs.push_back(std::move(xattr));
    }
  }
  if (!fields.AtEnd()) {
    return Bad("more fields than a line of this type has");
  }
  return entry;
}

// In its order, and in a directory that is there.
Result<> Place(const Manifest& manifest, Entry& entry) {
  const std::vector<Entry>& before = manifest.entries;
  if (before.empty()) {
    return entry.path == "/" && entry.type == Type::kDirectory && entry.first == kNone
               ? Result<>{}
               : Result<>{Bad("the first entry must be the directory /")};
  }
  if (before.back().path >= entry.path) {
    return Bad(before.back().path == entry.path ? "the path is there twice" : "the paths are not sorted");
  }
  const std::string_view parent =
      std::string_view{entry.path}.substr(0, std::max<std::size_t>(1, entry.path.rfind('/')));
  // Most entries are in the same directory as the one before.
  const std::size_t last = before.back().parent;
  entry.parent = last != kNone && before[last].path == parent ? last : manifest.Find(parent);
  if (entry.parent == kNone || before[entry.parent].type != Type::kDirectory || before[entry.parent].first != kNone) {
    return Bad("the directory that " + Escape(entry.path) + " is in is missing");
  }
  return {};
}

}  // namespace

std::string_view TypeName(Type type) {
  return kTypeNames[static_cast<std::size_t>(type)];
}

std::string XattrValue(std::string_view bytes) {
  if (bytes.size() > kLongestXattr) {
    return std::string{kSha256Mark} + Sha256Hex(bytes);
  }
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

bool IsHostXattr(std::string_view name) {
  return name == "security.selinux" || name == "security.evm";
}

std::size_t Manifest::Find(std::string_view path) const {
  const auto found =
      std::ranges::lower_bound(entries, path, {}, [](const Entry& entry) -> std::string_view { return entry.path; });
  return found != entries.end() && found->path == path ? static_cast<std::size_t>(found - entries.begin()) : kNone;
}

void AppendEntry(std::string& out, const Manifest& manifest, const Entry& entry) {
  AppendEscaped(out, entry.path);
  out += ' ';
  if (entry.first != kNone) {
    out += kHardLink;
    out += ' ';
    AppendEscaped(out, manifest.entries[entry.first].path);
    out += '\n';
    return;
  }
  out += TypeName(entry.type);
  out += ' ';
  if (entry.type != Type::kLink) {
    for (int shift = 9; shift >= 0; shift -= 3) {
      out += static_cast<char>('0' + (entry.mode >> shift & 7));
    }
    out += ' ';
  }
  AppendNumber(out, entry.uid);
  out += ':';
  AppendNumber(out, entry.gid);
  switch (entry.type) {
    case Type::kFile:
      out += ' ';
      AppendNumber(out, entry.size);
      out += ' ';
      out += Hex(entry.content);
      if (entry.verity) {
        out += ' ';
        out += kVerityMark;
        out += Hex(*entry.verity);
      }
      break;
    case Type::kLink:
      out += ' ';
      AppendEscaped(out, entry.target);
      break;
    case Type::kCharacter:
    case Type::kBlock:
      out += ' ';
      AppendNumber(out, entry.major);
      out += ':';
      AppendNumber(out, entry.minor);
      break;
    case Type::kDirectory:
    case Type::kFifo:
    case Type::kSocket:
      break;
  }
  AppendXattrs(out, entry);
  out += '\n';
}

Result<Manifest> ParseManifest(std::string_view text, std::string_view name) {
  const auto at = [&](std::size_t line) { return std::string{name} + ": line " + std::to_string(line); };
  if (text.size() > kManifestLimit) {
    return Bad(std::string{name} + ": too large");
  }
  Manifest manifest{.entries = {}, .store = text.starts_with(kStoreHeader)};
  if (!manifest.store && !text.starts_with(kManifestHeader)) {
    return Bad(at(1) + ": must be \"" + std::string{kManifestHeader.substr(0, kManifestHeader.size() - 1)} + "\"");
  }
  std::size_t number = 1;
  for (text.remove_prefix(HeaderOf(manifest).size()); !text.empty();) {
    ++number;
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return Bad(at(number) + ": the line has no end");
    }
    if (end > kLongestLine) {
      return Bad(at(number) + ": the line is too long");
    }
    Entry entry = TRY_IN(at(number), ReadEntry(text.substr(0, end), manifest));
    TRY_IN(at(number), Place(manifest, entry));
    manifest.entries.push_back(std::move(entry));
    text.remove_prefix(end + 1);
  }
  if (manifest.entries.empty()) {
    return Bad(at(number) + ": no entries");
  }
  return manifest;
}

}  // namespace nucleus::attest
