// The keys that end `attach` without ending what it is attached to. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace nucleus::front {

inline constexpr const char* kDetachKeys = "ctrl-p,ctrl-q";

// "ctrl-p,ctrl-q" or "a,b": single characters, and ctrl- with a letter or one of @[\]^_ → their bytes. Empty: none.
Result<std::string> ParseDetachKeys(std::string_view text);

// Looks for the keys in what is typed.
class DetachKeys {
 public:
  explicit DetachKeys(std::string keys) : keys_(std::move(keys)) {
  }
  // Takes `typed`; what goes on to the other side is in `pass`. A beginning of the keys is held back until it is known
  // not to be them. True: they were typed.
  bool Feed(std::string_view typed, std::string& pass);

 private:
  std::string keys_;
  std::size_t matched_ = 0;
};

}  // namespace nucleus::front
