// SHA-256 (FIPS 180-4), by OpenSSL's libcrypto.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace nucleus {

inline constexpr std::size_t kSha256HexDigits = 64;

// A hash that is fed piece by piece.
class Sha256 {
 public:
  static constexpr std::size_t kBytes = 32;
  using Digest = std::array<unsigned char, kBytes>;

  Sha256();
  void Update(const void* bytes, std::size_t size);
  // Ends the hash; the object is not to be used any more.
  Digest Finish();

 private:
  SHA256_CTX context_;
};

// 64 lower-case digits.
std::string Hex(const Sha256::Digest& digest);

// The digest of `bytes` as 64 lower-case digits.
std::string Sha256Hex(std::string_view bytes);

// 64 digits 0-9 a-f?
bool IsSha256Hex(std::string_view text);

}  // namespace nucleus
