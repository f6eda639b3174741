#include "shim/cli/version.h"

#include <seccomp.h>

namespace nucleus::shim {

std::string Version() {
  return NUCLEUS_VERSION;
}

std::string Commit() {
  return NUCLEUS_COMMIT;
}

std::string VersionText() {
  const scmp_version* library = ::seccomp_version();
  return "nucleus version " + Version() + "\ncommit: " + Commit() + "\nspec: " + kSpecVersion +
         "\nlibseccomp: " + std::to_string(library->major) + "." + std::to_string(library->minor) + "." +
         std::to_string(library->micro) + "\n";
}

}  // namespace nucleus::shim
