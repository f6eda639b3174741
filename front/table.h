// Tables for people: columns as wide as their widest cell. Cells are cleared of control characters.
#pragma once

#include <string>
#include <vector>

namespace nucleus::front {

std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace nucleus::front
