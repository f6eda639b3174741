#include "front/table.h"

#include <algorithm>

#include "base/one_line.h"

namespace nucleus::front {

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  constexpr std::size_t kGap = 3;
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += OneLine(row[i]);
      if (i + 1 < row.size()) {
        text.append(widths[i] - row[i].size() + kGap, ' ');
      }
    }
    text += '\n';
  }
  return text;
}

}  // namespace nucleus::front
