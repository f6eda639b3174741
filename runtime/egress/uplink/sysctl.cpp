#include "runtime/egress/uplink/sysctl.h"

#include <fcntl.h>

#include "base/fd.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::uplink {
namespace {

constexpr std::size_t kMaxValue = 4096;

std::string Path(const std::string& name) {
  return "/proc/sys/net/" + name;
}

}  // namespace

Result<std::string> GetSysctl(const std::string& name) {
  std::string value = TRY(ReadFile(Path(name), kMaxValue));
  while (value.ends_with('\n')) {
    value.pop_back();
  }
  return value;
}

Result<> SetSysctl(const std::string& name, const std::string& value) {
  if (TRY(GetSysctl(name)) == value) {
    return {};
  }
  const Fd file = TRY(sys::Open(Path(name), O_WRONLY));
  return WriteAll(file.get(), value, Path(name));
}

bool HasIpv6() {
  return GetSysctl("ipv6/conf/all/disable_ipv6").value_or("1") == "0";
}

}  // namespace nucleus::uplink
