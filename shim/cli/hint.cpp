#include "shim/cli/hint.h"

#include <dirent.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "base/suggest.h"
#include "runtime/container/container.h"
#include "shim/cli/log.h"

namespace nucleus::shim {
namespace {

std::string NearestContainer(const std::string& root, const std::string& id) {
  std::vector<std::string> ids;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory{::opendir(root.c_str()), ::closedir};
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {  // NOLINT(concurrency-mt-unsafe)
    if (container::ValidateId(entry->d_name)) {
      ids.emplace_back(entry->d_name);
    }
  }
  return std::string{Nearest(id, {ids.begin(), ids.end()})};
}

}  // namespace

std::string ContainerOf(const Command& command) {
  return std::visit(
      []<class T>(const T& one) -> std::string {
        if constexpr (requires { one.regex; }) {
          return one.regex ? "" : one.id;
        } else if constexpr (requires { one.id; }) {
          return one.id;
        } else if constexpr (requires { one.options.id; }) {
          return one.options.id;
        } else {
          return {};
        }
      },
      command);
}

void AdviseAfter(const CommandLine& line, const Error& error) {
  std::string meant = line.hint;
  if (line.command && error.message == "container does not exist" && ::isatty(STDERR_FILENO) == 1) {
    meant = NearestContainer(line.global.root, ContainerOf(*line.command));
  }
  if (!meant.empty()) {
    Advise("did you mean " + meant + "?");
  }
}

}  // namespace nucleus::shim
