#include "runtime/container/filter_file.h"

#include <linux/bpf_common.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace nucleus::container {
namespace {

constexpr std::array<char, 8> kMagic = {'n', 'u', 'c', 'b', 'p', 'f', '0', '1'};

struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t flags = 0;
  std::uint32_t listener = 0;
  std::uint64_t length = 0;
};

}  // namespace

std::string FormatFilter(const confine::SeccompProgram& program) {
  const Header header{.flags = program.flags, .listener = program.listener, .length = program.filter.size()};
  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.append(reinterpret_cast<const char*>(program.filter.data()), program.filter.size() * sizeof(sock_filter));
  return bytes;
}

Result<confine::SeccompProgram> ParseFilter(std::string_view bytes, const std::string& name) {
  Header header;
  if (bytes.size() < sizeof header) {
    return std::unexpected(SysError("read", name, EINVAL));
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  if (header.magic != kMagic || header.length > BPF_MAXINSNS || bytes.size() != header.length * sizeof(sock_filter) ||
      header.length == 0) {
    return std::unexpected(SysError("read", name, EINVAL));
  }
  confine::SeccompProgram program{
      .filter = std::vector<sock_filter>(header.length), .flags = header.flags, .listener = header.listener != 0};
  std::memcpy(program.filter.data(), bytes.data(), bytes.size());
  return program;
}

}  // namespace nucleus::container
