#include "policies/closure.h"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <utility>

namespace nucleus::policies {
namespace {

// A mount each: a namespace takes 100000 by default (fs.mount-max), and those of the container are in it too.
constexpr std::size_t kMostPaths = 32768;

std::unexpected<Error> Bad(std::string message) {
  return std::unexpected(Failure(std::move(message), EINVAL));
}

Result<> CheckPath(std::string_view path) {
  if (!path.starts_with('/') || path.size() < 2) {
    return Bad("must be an absolute path, and not /");
  }
  if (path.size() >= PATH_MAX) {
    return Bad("the path is too long");
  }
  if (std::ranges::any_of(path, [](unsigned char c) { return c < ' ' || c == 127; })) {
    return Bad("the path has a control character");
  }
  for (std::size_t from = 1; from <= path.size();) {
    const std::size_t end = std::min(path.find('/', from), path.size());
    const std::string_view part = path.substr(from, end - from);
    if (part.empty() || part == "." || part == "..") {
      return Bad("the path has a component that is empty, \".\" or \"..\"");
    }
    from = end + 1;
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> ParseClosure(std::string_view text, std::string_view name) {
  std::vector<std::string> paths;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string at = std::string{name} + ": line " + std::to_string(number);
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return Bad(at + ": the line has no end");
    }
    const std::string_view path = text.substr(0, end);
    TRY_IN(at, CheckPath(path));
    if (!paths.empty() && path <= paths.back()) {
      return Bad(at + ": " + (path == paths.back() ? "the path is there twice" : "the paths are not sorted"));
    }
    // Not only the one before: "/a-b" stands between "/a" and "/a/b".
    for (std::size_t slash = path.find('/', 1); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
      if (std::ranges::binary_search(paths, path.substr(0, slash))) {
        return Bad(at + ": the path lies in " + std::string{path.substr(0, slash)} + ", which is in the list");
      }
    }
    if (paths.size() == kMostPaths) {
      return Bad(at + ": more than " + std::to_string(kMostPaths) + " paths");
    }
    paths.emplace_back(path);
    text.remove_prefix(end + 1);
  }
  return paths;
}

}  // namespace nucleus::policies
