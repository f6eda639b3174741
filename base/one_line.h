// What is quoted (a key, a path, a name) may hold any byte: a line break would be another line of the log, an escape a
// word to the terminal.
#pragma once

#include <string>

namespace nucleus {

// `text` with '?' for control characters.
std::string OneLine(std::string text);

}  // namespace nucleus
