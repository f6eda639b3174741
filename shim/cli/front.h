// The commands of nucleus-front, a program of its own (front/): this one becomes it.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace nucleus::shim {

// Names and summaries, for --help.
inline constexpr auto kFrontCommands = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"sandbox", "run a command in a container made out of options"},
});

bool IsFrontCommand(std::string_view word);

// `options`: how many words stand between the program's name and the command. Returns only where it fails.
Error BecomeFront(int argc, char** argv, int options);

}  // namespace nucleus::shim
