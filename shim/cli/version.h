#pragma once

#include <string>

namespace nucleus::shim {

std::string Version();
std::string Commit();
// The version of the runtime specification that is implemented.
inline constexpr const char* kSpecVersion = "1.3.0";
// The three lines that callers read, then libraries.
std::string VersionText();

}  // namespace nucleus::shim
