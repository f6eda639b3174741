// What somebody may have meant by a mistyped name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nucleus {

// The nearest of `names` to `word`, of which a third of the letters may be wrong; empty where none is near, and of a
// word that nobody would have typed.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& names);

// `, did you mean "..."?` with the nearest of `names`; empty where none is near.
std::string Suggestion(std::string_view word, const std::vector<std::string_view>& names, std::string_view prefix = "");

}  // namespace nucleus
