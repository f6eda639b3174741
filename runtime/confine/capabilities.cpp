// Capability names and sets.
// Source: capabilities(7).

#include "runtime/confine/capabilities.h"

#include <linux/capability.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace nucleus::confine {
namespace {

constexpr int kBits = 64;

int LastCapability() {
  static const int kLast = [] {
    int last = 0;
    while (last + 1 < kBits && ::prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0) {
      ++last;
    }
    return last;
  }();
  return kLast;
}

std::string NameOf(int capability) {
  char* text = ::cap_to_name(capability);
  std::string name = text != nullptr ? text : "";
  ::cap_free(text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

Result<> SetThree(std::uint64_t effective, std::uint64_t permitted, std::uint64_t inheritable) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; ++half) {
    data[half].effective = static_cast<std::uint32_t>(effective >> (32 * half));
    data[half].permitted = static_cast<std::uint32_t>(permitted >> (32 * half));
    data[half].inheritable = static_cast<std::uint32_t>(inheritable >> (32 * half));
  }
  if (::syscall(SYS_capset, &header, data) != 0) {
    return std::unexpected(SysError("capset", ""));
  }
  return {};
}

}  // namespace

CapabilitySets PlanCapabilities(const std::optional<oci::Capabilities>& capabilities, std::uint64_t available,
                                std::vector<std::string>& warnings) {
  CapabilitySets sets;
  if (!capabilities) {
    return sets;
  }
  std::vector<std::string> warned;
  const auto bits = [&](const std::vector<std::string>& names) {
    std::uint64_t result = 0;
    for (const std::string& name : names) {
      cap_value_t value = 0;
      const bool known = ::cap_from_name(name.c_str(), &value) == 0 && value < kBits;
      const std::uint64_t bit = known ? std::uint64_t{1} << value : 0;
      if ((bit & available) != 0) {
        result |= bit;
      } else if (std::find(warned.begin(), warned.end(), name) == warned.end()) {
        warned.push_back(name);
        warnings.push_back("capability " + name + (known ? " cannot be granted here" : " is unknown") +
                           ": it is left out");
      }
    }
    return result;
  };
  sets.bounding = bits(capabilities->bounding);
  sets.effective = bits(capabilities->effective);
  sets.permitted = bits(capabilities->permitted);
  sets.inheritable = bits(capabilities->inheritable);
  // The kernel raises none that is not permitted and inheritable as well. `runc spec` and buildah list such ones, and
  // always got the set without them.
  sets.ambient = bits(capabilities->ambient) & sets.permitted & sets.inheritable;
  return sets;
}

std::uint64_t BoundingSet() {
  std::uint64_t set = 0;
  for (int capability = 0; capability <= LastCapability(); ++capability) {
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) {
      set |= std::uint64_t{1} << capability;
    }
  }
  return set;
}

std::vector<std::string> KnownCapabilities() {
  std::vector<std::string> names;
  for (int capability = 0; capability <= LastCapability(); ++capability) {
    std::string name = NameOf(capability);
    if (name.starts_with("CAP_")) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

Result<> DropBounding(std::uint64_t keep) {
  for (int capability = 0; capability <= LastCapability(); ++capability) {
    if ((keep >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      return std::unexpected(SysError("drop", "capability " + std::to_string(capability) + " from the bounding set"));
    }
  }
  return {};
}

Result<> SetCapabilities(const CapabilitySets& sets, std::uint64_t also) {
  TRY(SetThree(sets.effective | also, sets.permitted | also, sets.inheritable));
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return std::unexpected(SysError("clear", "ambient capabilities"));
  }
  for (int capability = 0; capability <= LastCapability(); ++capability) {
    if ((sets.ambient >> capability & 1) != 0 && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      return std::unexpected(SysError("raise", "ambient " + NameOf(capability)));
    }
  }
  return {};
}

}  // namespace nucleus::confine
