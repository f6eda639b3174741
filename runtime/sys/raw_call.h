// A system call without the C library, for what runs before it is ready (entry.cpp) or has none (runtime/init): no
// errno, no cancellation, no call. What failed is an errno below zero.
#pragma once

namespace nucleus::sys {

#if defined(__x86_64__)

[[gnu::always_inline]] inline long RawCall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  long result = 0;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  // NOLINTNEXTLINE(hicpp-no-assembler)
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

[[gnu::always_inline]] inline long RawCall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  // NOLINTNEXTLINE(hicpp-no-assembler)
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}

#else
#error "not written for this processor"
#endif

}  // namespace nucleus::sys
