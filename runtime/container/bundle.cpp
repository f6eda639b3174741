#include "runtime/container/bundle.h"

#include <sys/stat.h>

#include <array>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "base/fd.h"
#include "base/sha256.h"
#include "oci-config/parse.h"
#include "runtime/container/bundle_policies.h"
#include "runtime/container/filter_cache.h"

namespace nucleus::container {

Result<std::string> AbsolutePath(const std::string& path) {
  std::array<char, PATH_MAX> resolved{};
  if (::realpath(path.c_str(), resolved.data()) == nullptr) {
    return std::unexpected(SysError("open", path));
  }
  return std::string{resolved.data()};
}

// Not gmtime(3), which reads the host's time zone first.
std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::chrono::sys_seconds seconds{std::chrono::seconds{now.tv_sec}};
  const auto midnight = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date{midnight};
  const std::chrono::hh_mm_ss time{seconds - midnight};
  std::array<char, 64> text{};
  const int size =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%09ldZ", int{date.year()},
                    unsigned{date.month()}, unsigned{date.day()}, static_cast<int>(time.hours().count()),
                    static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()), now.tv_nsec);
  return {text.data(), static_cast<std::size_t>(size)};
}

Result<std::string> RootDirectory(const std::string& path) {
  std::string root = TRY_IN("root.path", AbsolutePath(path));
  struct stat status{};
  if (::stat(root.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return std::unexpected(SysError("root.path:", root, ENOTDIR));
  }
  return root;
}

Result<Bundle> LoadBundle(const std::string& directory, const std::string& config, const std::string& digest,
                          void (*warn)(const std::string& message), bool find_filter) {
  Bundle bundle;
  bundle.path = TRY(AbsolutePath(directory));
  bundle.text = TRY(ReadFile(config.empty() ? bundle.path + "/config.json" : config, oci::kMaxConfigBytes));
  if (!digest.empty()) {
    const std::string actual = "sha256:" + Sha256Hex(bundle.text);
    if (actual != digest) {
      return std::unexpected(Failure("config.json: is " + actual + ", pinned is " + digest, EBADMSG));
    }
  }
  bundle.spec = std::make_shared<const oci::Spec>(TRY(oci::ParseSpec(bundle.text, "config.json")));
  bundle.annotations = TRY_IN("config.json", oci::ParseAnnotations(bundle.spec->annotations));
  const auto find = [&bundle](std::string_view policy) {
    bundle.policy_filter = FindFilter(FilterCacheDirectory(), policy);
    return bundle.policy_filter != nullptr;
  };
  const bool native = bundle.annotations.runtime == oci::Runtime::kNative;
  bundle.policies = TRY_IN("config.json", LoadPolicies(bundle.annotations, bundle.path, warn,
                                                       find_filter && native ? find : policies::FilterIsKnown{}));
  return bundle;
}

}  // namespace nucleus::container
