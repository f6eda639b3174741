// What a topology refers to on the host is looked for before anything is made.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fd.h"
#include "front/compose/topology.h"
#include "policies/egress_policy.h"

namespace nucleus::front::compose {
namespace {

constexpr std::size_t kMaxPolicy = std::size_t{1} << 20;

class Looking {
 public:
  explicit Looking(std::vector<Problem>& problems) : problems_(problems) {
  }

  void Directory(const Spot& at, const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
      Fail(at, SysError("stat", path).message);
    } else if (!S_ISDIR(status.st_mode)) {
      Fail(at, path + ": is no directory");
    }
  }
  void File(const Spot& at, const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0) {
      Fail(at, SysError("open", path).message);
    } else if (!S_ISREG(status.st_mode)) {
      Fail(at, path + ": is no file");
    }
  }
  void Fail(const Spot& at, std::string message) {
    problems_.push_back({.at = at, .message = std::move(message)});
  }

 private:
  std::vector<Problem>& problems_;
};

void LookAt(const ServiceEntry& service, Looking& look) {
  const auto spot = [&service](const char* key) {
    const auto found = service.spots.find(key);
    return found == service.spots.end() ? service.at : found->second;
  };
  if (!service.bundle.empty()) {
    look.File(spot("bundle"), service.bundle + "/config.json");
    return;
  }
  if (!service.options.rootfs.empty()) {
    look.Directory(spot("rootfs"), service.options.rootfs);
  }
  for (const auto& [key, path] : {std::pair{"seccomp", &service.options.seccomp_policy},
                                  {"landlock", &service.options.landlock_policy},
                                  {"egress", &service.options.egress_policy}}) {
    if (!path->empty()) {
      look.File(spot(key), *path);
    }
  }
  if (!service.options.egress_policy.empty()) {
    const Result<std::string> text = ReadFile(service.options.egress_policy, kMaxPolicy);
    if (text) {
      if (const auto policy = policies::ParseEgressPolicy(*text, service.options.egress_policy); !policy) {
        look.Fail(spot("egress"), policy.error().message);
      }
    }
  }
}

}  // namespace

std::vector<Problem> LookAtHost(const Topology& topology) {
  std::vector<Problem> problems;
  Looking look{problems};
  for (const auto& [name, service] : topology.services) {
    LookAt(service, look);
  }
  for (const auto& [name, secret] : topology.secrets) {
    if (!secret.file.empty()) {
      look.File(secret.at, secret.file);
    } else if (std::getenv(secret.variable.c_str()) == nullptr) {
      look.Fail(secret.at, "the variable " + secret.variable + " is not set");
    }
  }
  return problems;
}

}  // namespace nucleus::front::compose
