// What somebody may have meant whose command has failed: said on a line of its own, after the error.
#pragma once

#include <string>

#include "base/error.h"
#include "shim/cli/command_line.h"

namespace nucleus::shim {

// The one container that a command is for; empty where it is for none, or for all that match.
std::string ContainerOf(const Command& command);

// Says it, where there is anything to say. Names of containers on a terminal alone: a program that looks for one asks
// often, and for names that are much alike.
void AdviseAfter(const CommandLine& line, const Error& error);

}  // namespace nucleus::shim
