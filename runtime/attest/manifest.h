// The manifest of a directory tree: what each entry of it is. docs/attestation.md describes the text to the byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"

namespace nucleus::attest {

enum class Type : std::uint8_t { kDirectory, kFile, kLink, kCharacter, kBlock, kFifo, kSocket };

// The word for it in a manifest.
std::string_view TypeName(Type type);

// `value` as a manifest has it: the bytes in hex, or "sha256:HEX" where they are more than kLongestXattr.
struct Xattr {
  std::string name;
  std::string value;
  bool operator==(const Xattr&) const = default;
};
inline constexpr std::size_t kLongestXattr = 64;
std::string XattrValue(std::string_view bytes);
// Is this one that the host gives to a file, and no part of what it is? (security.selinux, security.evm)
bool IsHostXattr(std::string_view name);

inline constexpr std::size_t kNone = SIZE_MAX;

struct Entry {
  std::string path;  // raw bytes, from the tree's root: "/", "/bin/sh"
  Type type = Type::kDirectory;
  std::uint32_t mode = 0;  // 07777; 0 of a link
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;   // of a file
  std::uint32_t major = 0;  // of a device
  std::uint32_t minor = 0;
  Sha256::Digest content{};              // of a file
  std::optional<Sha256::Digest> verity;  // of a file: what FS_IOC_MEASURE_VERITY says, where it is a SHA-256
  std::string target;                    // of a link, raw bytes
  std::vector<Xattr> xattrs;             // sorted by name
  // Hard links: the index of the first name of the same inode, for all but that name itself. Such an entry is nothing
  // beyond its path: what it is stands at the first name.
  std::size_t first = kNone;
  std::size_t parent = kNone;  // the index of the directory that it is in; none for "/". Of entries that were read.
};

// Sorted by the bytes of the path; the first is "/".
struct Manifest {
  std::vector<Entry> entries;
  // Of a content store, which makes hard links of files that are equal when it likes: links are not told.
  bool store = false;

  // The entry that tells what `entry` is: itself, or the first of its hard links.
  [[nodiscard]] const Entry& Described(const Entry& entry) const {
    return entry.first == kNone ? entry : entries[entry.first];
  }
  // kNone where there is no such path.
  [[nodiscard]] std::size_t Find(std::string_view path) const;
};

inline constexpr std::string_view kManifestHeader = "nucleus-manifest 1\n";
inline constexpr std::string_view kStoreHeader = "nucleus-manifest 1 store\n";
inline std::string_view HeaderOf(const Manifest& manifest) {
  return manifest.store ? kStoreHeader : kManifestHeader;
}
// More text than this is not read: some two million entries.
inline constexpr std::size_t kManifestLimit = std::size_t{256} << 20;

// One line, appended with its end.
void AppendEntry(std::string& out, const Manifest& manifest, const Entry& entry);

// Strict: accepts exactly what AppendEntry writes after the header for the sorted entries of a possible tree. `name` is
// for the error, "NAME: line 7: ...".
Result<Manifest> ParseManifest(std::string_view text, std::string_view name);

}  // namespace nucleus::attest
