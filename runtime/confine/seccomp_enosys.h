// ENOSYS for syscalls that are newer than a profile: its author cannot have meant to deny them, and libc falls back to
// an older syscall only on ENOSYS. Inside runtime/confine only.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace nucleus::confine {

// The newest syscall that a profile names, for each of its architectures.
class NewestSyscalls {
 public:
  // libseccomp's tokens.
  explicit NewestSyscalls(const std::vector<std::uint32_t>& architectures);

  void Add(std::string_view name);

  // BPF to put in front of the filter: answers ENOSYS to what is beyond the newest, and falls through to the filter
  // else. Architectures of which the profile names nothing get no code.
  [[nodiscard]] std::vector<sock_filter> MakeStub() const;

 private:
  struct Entry {
    std::uint32_t token;
    int newest = -1;
  };
  [[nodiscard]] const Entry* Find(std::uint32_t token) const;
  std::vector<Entry> entries_;
};

}  // namespace nucleus::confine
