// policy pin, policy verify.

#include <unistd.h>

#include <array>
#include <climits>

#include "base/fd.h"
#include "policies/pinned_file.h"
#include "shim/cli/commands.h"
#include "shim/cli/log.h"

namespace nucleus::shim {
namespace {

// Manifests of large root filesystems are pinned too.
constexpr std::size_t kMaxPinnedBytes = std::size_t{256} << 20;

Result<std::string> PinOf(const std::string& path) {
  // As a path of the host: where the file lies in the bundle is for the annotation to say.
  std::string absolute = path;
  if (!path.starts_with('/')) {
    std::array<char, PATH_MAX> directory{};
    if (::getcwd(directory.data(), directory.size()) == nullptr) {
      return std::unexpected(SysError("getcwd", ""));
    }
    absolute = std::string{directory.data()} + "/" + path;
  }
  const policies::PinnedFile file = TRY(policies::ReadPinned("/", {.path = absolute, .digest = ""}, kMaxPinnedBytes));
  return path + "@sha256:" + file.digest;
}

// All of them are looked at; what is wrong with each is said.
Result<int> Pin(const std::vector<std::string>& paths) {
  int status = 0;
  for (const std::string& path : paths) {
    const Result<std::string> pin = PinOf(path);
    if (pin) {
      TRY(WriteAll(STDOUT_FILENO, *pin + "\n", "stdout"));
    } else {
      Log(Level::kError, pin.error().message);
      status = 1;
    }
  }
  return status;
}

Result<int> Verify(const std::string& bundle) {
  int status = 0;
  for (const container::PinCheck& check : TRY(container::VerifyPins(bundle))) {
    if (check.error.empty()) {
      TRY(WriteAll(STDOUT_FILENO, "ok " + check.name + " " + check.pin + "\n", "stdout"));
    } else {
      Log(Level::kError, check.error);
      status = 1;
    }
  }
  return status;
}

}  // namespace

Result<int> PinOrVerify(const PolicyCommand& command) {
  return command.verify ? Verify(command.paths[0]) : Pin(command.paths);
}

}  // namespace nucleus::shim
