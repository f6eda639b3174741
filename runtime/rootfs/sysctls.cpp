// linux.sysctl, written through a procfs of our own: nothing that is mounted in the container can stand in for the file
// (CVE-2025-52881).

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

// "net.ipv4.conf.eth0/1.forwarding" → "sys/net/ipv4/conf/eth0.1/forwarding": the first separator tells the spelling.
std::string FileOf(const std::string& key) {
  std::string path = key;
  const std::size_t first = path.find_first_of("./");
  if (first != std::string::npos && path[first] == '.') {
    for (char& c : path) {
      c = c == '.' ? '/' : c == '/' ? '.' : c;
    }
  }
  return "sys/" + path;
}

}  // namespace

Result<> WriteSysctls(const oci::StringMap& sysctls) {
  if (sysctls.empty()) {
    return {};
  }
  const Fd fs = TRY(sys::FsOpen("proc"));
  TRY_IN("private procfs", sys::FsConfigCreate(fs.get()));
  const Fd proc =
      TRY_IN("private procfs", sys::FsMount(fs.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  for (const auto& [key, value] : sysctls) {
    const std::string where = "linux.sysctl[\"" + key + "\"]";
    const Fd file = TRY_IN(where, sys::OpenAt2(proc.get(), FileOf(key), O_WRONLY,
                                               RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS));
    TRY_IN(where, WriteAll(file.get(), value, FileOf(key)));
  }
  return {};
}

}  // namespace nucleus::rootfs
