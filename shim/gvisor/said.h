// What runsc prints, read: by a program that is trusted no further than its sandbox is. Bounded, whatever the text.
// Pure.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::gvisor {

// More of a container are not told.
inline constexpr std::size_t kMostProcesses = 65536;

// `runsc ps -format json`: "[1, 7]". An error where it is anything else.
Result<std::vector<pid_t>> ParsePids(std::string_view text);

// `runsc ps`, in the columns of ps -ef that runc prints. Of a process of `pids` the first line that names it counts:
// its name is the container's to choose, line ends among it. What is no printable character is "?".
std::string FormatProcesses(std::string_view table, const std::vector<pid_t>& pids);

// A number alone, as in files of pids. An error where it is none above zero.
Result<pid_t> ParsePid(std::string_view text);

// The "msg" of the last line of a log in JSON; empty where there is none.
std::string LastMessage(std::string_view log, const std::string& name);

// An error of runsc's in the words that callers of runc look for, where it has others.
std::string InCallersWords(std::string message);

}  // namespace nucleus::gvisor
