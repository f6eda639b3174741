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
    {"logs", "print what a detached sandbox has written"},
    {"stop", "end sandboxes and remove what is left of them"},
    {"stats", "print what running containers use"},
    {"attach", "take part in a detached sandbox's input and output"},
    {"health", "print how detached sandboxes are"},
    {"compose", "run services, networks and volumes of one file"},
});

bool IsFrontCommand(std::string_view word);

// `options`: how many words stand between the program's name and the command. Returns only where it fails.
Error BecomeFront(int argc, char** argv, int options);

}  // namespace nucleus::shim
