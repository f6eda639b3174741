// libcrypto's own interface to the algorithm rather than EVP: EVP brings every provider along, which is 4 MB of a
// static executable (the whole runtime is below 3), and reads a configuration file. The code that hashes is the same.
#define OPENSSL_SUPPRESS_DEPRECATED  // NOLINT(cppcoreguidelines-macro-usage): that interface is called deprecated

#include "base/sha256.h"

#include <algorithm>

namespace nucleus {

Sha256::Sha256() {  // NOLINT(cppcoreguidelines-pro-type-member-init): SHA256_Init sets it
  SHA256_Init(&context_);
}

void Sha256::Update(const void* bytes, std::size_t size) {
  SHA256_Update(&context_, bytes, size);
}

Sha256::Digest Sha256::Finish() {
  Digest digest{};
  SHA256_Final(digest.data(), &context_);
  return digest;
}

std::string Hex(const Sha256::Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(kSha256HexDigits);
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes.data(), bytes.size());
  return Hex(hash.Finish());
}

bool IsSha256Hex(std::string_view text) {
  return text.size() == kSha256HexDigits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace nucleus
