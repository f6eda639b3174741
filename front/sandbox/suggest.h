// What somebody may have meant by a mistyped name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nucleus::front {

// `, did you mean "..."?` with the nearest of `names`; empty where none is near.
std::string Suggestion(std::string_view word, const std::vector<std::string_view>& names, std::string_view prefix = "");

}  // namespace nucleus::front
