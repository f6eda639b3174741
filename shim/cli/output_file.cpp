#include "shim/cli/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/fd.h"
#include "base/sha256.h"

namespace nucleus::shim {

Result<std::string> WriteOutputFile(const std::string& path, std::string_view text) {
  std::string temporary = path + ".XXXXXX";
  const Fd file{::mkostemp(temporary.data(), O_CLOEXEC)};
  if (!file) {
    return std::unexpected(SysError("create", temporary));
  }
  constexpr mode_t kMode = 0644;
  Result<> written = WriteAll(file.get(), text, temporary);
  if (written && (::fchmod(file.get(), kMode) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0)) {
    written = std::unexpected(SysError("write", path));
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return std::unexpected(written.error());
  }
  return path + "@sha256:" + Sha256Hex(text);
}

}  // namespace nucleus::shim
