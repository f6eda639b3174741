#include "runtime/cgroup/files.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {

Result<> Write(const std::string& directory, const std::string& file, std::string_view value) {
  const std::string path = directory + "/" + file;
  const Fd fd = TRY(sys::Open(path, O_WRONLY));
  for (;;) {
    if (::write(fd.get(), value.data(), value.size()) >= 0) {
      return {};
    }
    if (errno != EINTR) {
      return std::unexpected(SysError("write \"" + std::string{value.substr(0, 64)} + "\" to", path));
    }
  }
}

Result<std::string> Read(const std::string& directory, const std::string& file) {
  constexpr std::size_t kMax = std::size_t{1} << 20;
  std::string text = TRY(ReadFile(directory + "/" + file, kMax));
  if (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

bool Exists(const std::string& directory, const std::string& file) {
  return ::access((directory + "/" + file).c_str(), F_OK) == 0;
}

const std::string* DirectoryOf(const std::vector<oci::StateCgroup>& cgroups, std::string_view controller) {
  for (const oci::StateCgroup& cgroup : cgroups) {
    const std::string list = "," + cgroup.hierarchy + ",";
    if (controller.empty() ? cgroup.hierarchy.empty()
                           : list.find("," + std::string{controller} + ",") != std::string::npos) {
      return &cgroup.path;
    }
  }
  return nullptr;
}

}  // namespace nucleus::cgroup
