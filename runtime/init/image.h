// The program nucleus-init (runtime/init/main.cpp), embedded when the runtime is built.
#pragma once

#include <string_view>

namespace nucleus::init {

// An ELF executable, byte for byte.
std::string_view Image();

}  // namespace nucleus::init
