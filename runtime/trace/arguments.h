// Which arguments of a system call matter to a policy. Docs: docs/learning.md.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nucleus::trace {

// Of an argument only the bits of `mask` are looked at: by the trace, and by the profile that is made of it.
struct Argument {
  unsigned index = 0;
  std::uint32_t mask = 0;
};

// Empty for most: these are told apart by their name alone. Never a pointer, nor a number that names an object.
std::span<const Argument> ArgumentsThatMatter(std::string_view syscall);

}  // namespace nucleus::trace
