#include "runtime/trace/arguments.h"

#include <array>

namespace nucleus::trace {
namespace {

constexpr std::uint32_t kAll = UINT32_MAX;
constexpr std::uint32_t kSocketType = 0xf;         // without SOCK_CLOEXEC and SOCK_NONBLOCK
constexpr std::uint32_t kNamespaces = 0x7e020000;  // CLONE_NEW*: whether threads or processes are made is all one
constexpr std::uint32_t kWriteOrExecute = 6;       // PROT_WRITE | PROT_EXEC
constexpr std::uint32_t kShmExecute = 0100000;     // SHM_EXEC

struct Row {
  std::string_view name;
  std::array<Argument, 3> arguments;
  std::size_t count;
};

constexpr auto kTable = std::to_array<Row>({
    {"arch_prctl", {{{0, kAll}}}, 1},
    {"bpf", {{{0, kAll}}}, 1},
    {"clone", {{{0, kNamespaces}}}, 1},
    {"fcntl", {{{1, kAll}}}, 1},
    {"fcntl64", {{{1, kAll}}}, 1},
    {"ioctl", {{{1, kAll}}}, 1},
    {"keyctl", {{{0, kAll}}}, 1},
    {"mmap", {{{2, kWriteOrExecute}}}, 1},
    {"mmap2", {{{2, kWriteOrExecute}}}, 1},
    {"mprotect", {{{2, kWriteOrExecute}}}, 1},
    {"personality", {{{0, kAll}}}, 1},
    {"pkey_mprotect", {{{2, kWriteOrExecute}}}, 1},
    {"prctl", {{{0, kAll}}}, 1},
    {"ptrace", {{{0, kAll}}}, 1},
    {"seccomp", {{{0, kAll}}}, 1},
    {"setns", {{{1, kAll}}}, 1},
    {"setsockopt", {{{1, kAll}, {2, kAll}}}, 2},
    {"shmat", {{{2, kShmExecute}}}, 1},
    {"socket", {{{0, kAll}, {1, kSocketType}, {2, kAll}}}, 3},
    {"socketcall", {{{0, kAll}}}, 1},
    {"socketpair", {{{0, kAll}, {1, kSocketType}, {2, kAll}}}, 3},
    {"unshare", {{{0, kAll}}}, 1},
});

}  // namespace

std::span<const Argument> ArgumentsThatMatter(std::string_view syscall) {
  for (const Row& row : kTable) {
    if (row.name == syscall) {
      return {row.arguments.data(), row.count};
    }
  }
  return {};
}

}  // namespace nucleus::trace
