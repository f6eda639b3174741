#include "runtime/confine/seccomp_names.h"

#include <seccomp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

namespace nucleus::confine {
namespace {

struct Architecture {
  std::string_view name;
  std::uint32_t token;
};

// The specification's names that this libseccomp has a code generator for.
constexpr auto kArchitectures = std::to_array<Architecture>({
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
});

// Which syscall tables one kernel serves side by side.
constexpr auto kFamilies = std::to_array<std::array<std::uint32_t, 3>>({
    {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32},
    {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM, 0},
    {SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64N32},
    {SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL, SCMP_ARCH_MIPSEL64N32},
    {SCMP_ARCH_PPC64, SCMP_ARCH_PPC, 0},
    {SCMP_ARCH_S390X, SCMP_ARCH_S390, 0},
    {SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC, 0},
});

// Since number 424 all architectures count alike. These are newer than Debian 12's libseccomp (2.5.4).
// Source: include/uapi/asm-generic/unistd.h.
struct NewSyscall {
  std::string_view name;
  int number;
};
constexpr auto kNewSyscalls = std::to_array<NewSyscall>({
    {"cachestat", 451},         {"fchmodat2", 452},         {"map_shadow_stack", 453}, {"futex_wake", 454},
    {"futex_wait", 455},        {"futex_requeue", 456},     {"statmount", 457},        {"listmount", 458},
    {"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},        {"listxattrat", 465},      {"removexattrat", 466},
    {"open_tree_attr", 467},    {"file_getattr", 468},      {"file_setattr", 469},
});

int NewNumber(std::string_view name) {
  for (const NewSyscall& row : kNewSyscalls) {
    if (row.name == name) {
      return row.number;
    }
  }
  return __NR_SCMP_ERROR;
}

}  // namespace

std::uint32_t ArchitectureToken(std::string_view name) {
  for (const Architecture& row : kArchitectures) {
    if (row.name == name) {
      return row.token;
    }
  }
  return 0;
}

bool RunsHere(std::uint32_t token) {
  const std::uint32_t native = ::seccomp_arch_native();
  if (token == 0 || token == native) {
    return token == native;
  }
  return std::any_of(kFamilies.begin(), kFamilies.end(), [&](const auto& family) {
    return std::find(family.begin(), family.end(), native) != family.end() &&
           std::find(family.begin(), family.end(), token) != family.end();
  });
}

int SyscallNumber(std::string_view name) {
  const int number = ::seccomp_syscall_resolve_name(std::string{name}.c_str());
  return number != __NR_SCMP_ERROR ? number : NewNumber(name);
}

bool IsSyscall(std::string_view name) {
  return SyscallNumber(name) != __NR_SCMP_ERROR;
}

int SyscallNumberOn(std::uint32_t token, std::string_view name) {
  const int number = ::seccomp_syscall_resolve_name_arch(token, std::string{name}.c_str());
  if (number != __NR_SCMP_ERROR) {
    return number;
  }
  // libseccomp makes a rule for a number that it has no name for on the native architecture only.
  return token == ::seccomp_arch_native() ? NewNumber(name) : __NR_SCMP_ERROR;
}

std::string SyscallNameOn(std::uint32_t token, int number) {
  const std::unique_ptr<char, void (*)(void*)> name{::seccomp_syscall_resolve_num_arch(token, number), &::free};
  if (name != nullptr) {
    return name.get();
  }
  for (const NewSyscall& row : kNewSyscalls) {
    if (row.number == number && token == ::seccomp_arch_native()) {
      return std::string{row.name};
    }
  }
  return {};
}

std::string_view ArchitectureName(std::uint32_t token) {
  for (const Architecture& row : kArchitectures) {
    if (row.token == token) {
      return row.name;
    }
  }
  return {};
}

}  // namespace nucleus::confine
