// What JSON is written in (RFC 8259, section 8.1; the sequences are those of RFC 3629).
#pragma once

#include <string>
#include <string_view>

namespace nucleus {

bool IsValidUtf8(std::string_view text);

// `text` with U+FFFD in place of each byte that belongs to no well-formed sequence.
std::string ValidUtf8(std::string_view text);

}  // namespace nucleus
