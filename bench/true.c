// A process that ends at once, or with an argument one that stays: without libc, so that the runtime is measured and
// not the loader.

#include <sys/syscall.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "bench_true: add the system call of this architecture"
#endif

static long Call(long number, long argument) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(argument), "S"(0), "d"(0), "r"(0L)
                   : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = argument;
  register long x1 __asm__("x1") = 0;
  register long x2 __asm__("x2") = 0;
  register long x3 __asm__("x3") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#endif
}

__attribute__((noreturn, used)) static void Main(const long* stack) {
  const long arguments = stack[0] - 1;
  while (arguments == 1) {
    (void)Call(SYS_ppoll, 0);  // for ever: no descriptors, no timeout; a signal ends it
  }
  for (;;) {
    (void)Call(SYS_exit_group, arguments);
  }
}

// The stack pointer at entry is the only way to argc.
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call Main\n");
#else
__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl Main\n");
#endif
