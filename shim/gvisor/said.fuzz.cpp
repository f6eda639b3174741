// What runsc prints: version, flags, processes, pids, its log.

#include "shim/gvisor/said.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "shim/gvisor/runsc.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::gvisor;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const std::size_t half = text.find('\0');
  const std::string_view first = text.substr(0, half);
  const std::string_view second = half == std::string_view::npos ? std::string_view{} : text.substr(half + 1);
  (void)ParseAbilities(first, second);
  if (const auto pid = ParsePid(first); pid && *pid <= 0) {
    std::abort();
  }
  const auto pids = ParsePids(first);
  if (pids && pids->size() > kMostProcesses) {
    std::abort();
  }
  const std::string table = FormatProcesses(second, pids.value_or(std::vector<pid_t>{1, 2}));
  std::size_t lines = 0;
  for (const char c : table) {
    lines += c == '\n' ? 1 : 0;
    if ((static_cast<unsigned char>(c) < ' ' && c != '\n') || c == '\x7f') {
      std::abort();  // nothing of a container's may drive a terminal
    }
  }
  if (lines > 1 + (pids ? pids->size() : 2)) {
    std::abort();
  }
  (void)LastMessage(text, "log");
  return 0;
}
