#include "front/commands/detach_keys.h"

namespace nucleus::front {

Result<std::string> ParseDetachKeys(std::string_view text) {
  std::string keys;
  while (!text.empty()) {
    const std::string_view key = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), key.size() + 1));
    constexpr std::string_view kControl = "ctrl-";
    if (key.size() == 1) {
      keys += key;
      continue;
    }
    const char letter = key.size() == kControl.size() + 1 && key.starts_with(kControl) ? key.back() : '\0';
    const char upper = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
    if (upper < '@' || upper > '_') {
      return std::unexpected(Failure(
          "\"" + std::string{key} + "\" is no key: a character, or ctrl- with a letter or one of @[\\]^_", EINVAL));
    }
    keys += static_cast<char>(upper - '@');
  }
  return keys;
}

bool DetachKeys::Feed(std::string_view typed, std::string& pass) {
  for (const char c : typed) {
    if (keys_.empty()) {
      pass += c;
      continue;
    }
    while (matched_ > 0 && c != keys_[matched_]) {
      // The longest end of what was held back that begins the keys again.
      const std::string held = keys_.substr(0, matched_);
      std::size_t keep = matched_ - 1;
      while (keep > 0 && held.substr(matched_ - keep) != keys_.substr(0, keep)) {
        --keep;
      }
      pass += held.substr(0, matched_ - keep);
      matched_ = keep;
    }
    if (c != keys_[matched_]) {
      pass += c;
    } else if (++matched_ == keys_.size()) {
      matched_ = 0;
      return true;
    }
  }
  return false;
}

}  // namespace nucleus::front
