// The names that a seccomp profile uses: architectures and syscalls.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nucleus::confine {

// "SCMP_ARCH_X86_64" → libseccomp's token; 0 for one that this libseccomp does not have.
std::uint32_t ArchitectureToken(std::string_view name);

// Can a process on this kernel make syscalls of that architecture? Code for the others would never be reached.
bool RunsHere(std::uint32_t token);

// The native number, one of libseccomp's negative pseudo numbers (a syscall of another architecture), or
// __NR_SCMP_ERROR. Knows syscalls that are newer than the libseccomp that this was built with.
int SyscallNumber(std::string_view name);

// Has it a number of either kind?
bool IsSyscall(std::string_view name);

// The number on `token`'s architecture as the kernel sees it there, negative where it has none.
int SyscallNumberOn(std::uint32_t token, std::string_view name);

// "openat" of a number as the kernel sees it on `token`'s architecture; empty: not known.
std::string SyscallNameOn(std::uint32_t token, int number);

// SCMP_ARCH_* of the specification; empty for a token that this libseccomp does not have.
std::string_view ArchitectureName(std::uint32_t token);

}  // namespace nucleus::confine
