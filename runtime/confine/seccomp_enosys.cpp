#include "runtime/confine/seccomp_enosys.h"

#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "runtime/confine/seccomp_names.h"

namespace nucleus::confine {
namespace {

// x32 shares x86_64's audit architecture; this bit of the number tells its syscalls.
constexpr std::uint32_t kX32Bit = 0x40000000;

constexpr std::uint32_t kArchOffset = offsetof(seccomp_data, arch);
constexpr std::uint32_t kNumberOffset = offsetof(seccomp_data, nr);

sock_filter Load(std::uint32_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}

sock_filter AnswerEnosys() {
  return BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
}

// if (number > newest) answer ENOSYS
void AddLimit(std::vector<sock_filter>& block, int newest) {
  block.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, static_cast<std::uint32_t>(newest), 0, 1));
  block.push_back(AnswerEnosys());
}

}  // namespace

NewestSyscalls::NewestSyscalls(const std::vector<std::uint32_t>& architectures) {
  for (const std::uint32_t token : architectures) {
    entries_.push_back({.token = token});
  }
}

void NewestSyscalls::Add(std::string_view name) {
  for (Entry& entry : entries_) {
    entry.newest = std::max(entry.newest, SyscallNumberOn(entry.token, name));
  }
}

const NewestSyscalls::Entry* NewestSyscalls::Find(std::uint32_t token) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [token](const Entry& entry) { return entry.token == token && entry.newest >= 0; });
  return found == entries_.end() ? nullptr : &*found;
}

std::vector<sock_filter> NewestSyscalls::MakeStub() const {
  std::vector<sock_filter> stub = {Load(kArchOffset)};
  std::vector<std::size_t> to_filter;  // jumps whose target is the filter
  for (const Entry& entry : entries_) {
    if (entry.newest < 0 || entry.token == SCMP_ARCH_X32) {
      continue;
    }
    std::vector<sock_filter> block = {Load(kNumberOffset)};
    if (entry.token == SCMP_ARCH_X86_64) {
      std::vector<sock_filter> x32;
      if (const Entry* found = Find(SCMP_ARCH_X32)) {
        // libseccomp's x32 numbers carry the bit already.
        AddLimit(x32, static_cast<int>(static_cast<std::uint32_t>(found->newest) | kX32Bit));
      }
      // Numbers with the bit skip the limit of those without; both end at the jump to the filter.
      block.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 3, 0));
      AddLimit(block, entry.newest);
      block.push_back(BPF_JUMP(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(x32.size()), 0, 0));
      block.insert(block.end(), x32.begin(), x32.end());
    } else {
      AddLimit(block, entry.newest);
    }
    // Another architecture: on to the next block, past this one and its last jump.
    stub.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, entry.token, 0, static_cast<std::uint8_t>(block.size() + 1)));
    stub.insert(stub.end(), block.begin(), block.end());
    to_filter.push_back(stub.size());
    stub.push_back(BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0));
  }
  for (const std::size_t jump : to_filter) {
    stub[jump].k = static_cast<std::uint32_t>(stub.size() - jump - 1);
  }
  return stub;
}

}  // namespace nucleus::confine
