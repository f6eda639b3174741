// The program's first instruction. A command that puts a process into a container runs as a protected image of the
// binary (self.h), and execve to get there costs a second start. Here the first one is cut short: before the C
// library's own start-up (relocations, processor features by CPUID, which a virtual machine traps one by one), nothing
// but these system calls has run. Whatever does not work out is left to main, which checks the image in any case and
// says what is wrong: this is speed only, and on other processors than x86-64 it is not there.
//
// Runs without the C library: no relocated data, no thread pointer, no call out of this file. It is built without
// stack protector, sanitizers and LTO. System V ABI for x86-64, 3.4.1: argc, argv, environ and the auxiliary vector
// lie on the stack; %rdx is the dynamic loader's and has to reach _start.

#ifdef __x86_64__

#include <elf.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include "runtime/sys/raw_call.h"

extern "C" [[gnu::used, gnu::visibility("hidden")]] void NucleusProtectEarly(const long* stack);

// NOLINTNEXTLINE(hicpp-no-assembler): the entry of a program has no C++ form.
__asm__(
    ".text\n"
    ".globl NucleusEntry\n"
    ".type NucleusEntry, @function\n"
    "NucleusEntry:\n"
    "  endbr64\n"
    "  mov %rsp, %rdi\n"
    "  push %rdx\n"
    "  sub $8, %rsp\n"
    "  call NucleusProtectEarly\n"
    "  add $8, %rsp\n"
    "  pop %rdx\n"
    "  jmp _start\n"
    ".size NucleusEntry, .-NucleusEntry\n");

namespace {

using nucleus::sys::RawCall;

bool Equal(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == '\0') {
      return true;
    }
  }
  return false;
}

bool StartsWith(const char* text, const char* start) {
  for (; *start != '\0'; ++text, ++start) {
    if (*text != *start) {
      return false;
    }
  }
  return true;
}

// A word that only looks like a command costs time, no more.
bool MayEnterContainer(const char* const* words) {
  for (; *words != nullptr; ++words) {
    if (Equal(*words, "create") || Equal(*words, "run") || Equal(*words, "exec") || Equal(*words, "learn")) {
      return true;
    }
  }
  return false;
}

// execveat names the image that it starts "/dev/fd/N". A hint, to leave out a second time; main does not rely on it.
bool StartedFromDescriptor(const char* const* environment) {
  while (*environment != nullptr) {
    ++environment;
  }
  for (const auto* entry = reinterpret_cast<const Elf64_auxv_t*>(environment + 1); entry->a_type != AT_NULL; ++entry) {
    if (entry->a_type == AT_EXECFN) {
      // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel hands pointers over as integers
      return StartsWith(reinterpret_cast<const char*>(entry->a_un.a_val), "/dev/fd/");
    }
  }
  return true;
}

}  // namespace

void NucleusProtectEarly(const long* stack) {
  const auto* const argv = reinterpret_cast<const char* const*>(stack + 1);
  const char* const* const environment = argv + *stack + 1;
  if (*stack < 2 || !MayEnterContainer(argv + 1) || StartedFromDescriptor(environment)) {
    return;
  }
  const long tree =
      RawCall(SYS_open_tree, AT_FDCWD, reinterpret_cast<long>("/proc/self/exe"), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) {
    return;
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;
  if (RawCall(SYS_mount_setattr, tree, reinterpret_cast<long>(""), AT_EMPTY_PATH, reinterpret_cast<long>(&attributes),
              sizeof attributes) == 0) {
    RawCall(SYS_execveat, tree, reinterpret_cast<long>(""), reinterpret_cast<long>(argv),
            reinterpret_cast<long>(environment), AT_EMPTY_PATH);
  }
  RawCall(SYS_close, tree, 0);
}

#endif
