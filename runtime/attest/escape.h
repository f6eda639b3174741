// Names in manifests and in messages about them: one word of printable ASCII, whatever bytes a name is made of.
// The form is described in docs/attestation.md.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace nucleus::attest {

// Bytes 0x21 to 0x7e but for the backslash stand for themselves, every other byte is written \xHH (lower case). No line
// is broken by the result, no field divided, and no terminal told anything.
std::string Escape(std::string_view bytes);
void AppendEscaped(std::string& out, std::string_view bytes);

// The bytes that `text` is the escaped form of. Errors: anything that Escape does not write, an escape that is not
// needed among them, and NUL.
Result<std::string> Unescape(std::string_view text);

}  // namespace nucleus::attest
