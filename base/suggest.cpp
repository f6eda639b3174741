#include "base/suggest.h"

#include <algorithm>

namespace nucleus {
namespace {

// Letters to change, leave out, put in, or exchange with the next (optimal string alignment).
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] =
          std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& names) {
  constexpr std::size_t kLongest = 64;  // the table is quadratic, the word anybody's
  if (word.size() > kLongest) {
    return {};
  }
  std::string_view nearest;
  // A third of the letters may be wrong.
  std::size_t best = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view name : names) {
    if (const std::size_t distance = Distance(word, name); distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

std::string Suggestion(std::string_view word, const std::vector<std::string_view>& names, std::string_view prefix) {
  const std::string_view nearest = Nearest(word, names);
  return nearest.empty() ? std::string{} : ", did you mean " + std::string{prefix} + std::string{nearest} + "?";
}

}  // namespace nucleus
