#include "oci-config/parse.h"

#include <algorithm>

#include "oci-config/read.h"

namespace nucleus::oci {
namespace {

// SemVer with a major of 1. What follows the minor is not looked at closely: callers write "1.0", "1.2.1-dev",
// "1.3.0+x".
bool IsSupportedVersion(std::string_view version) {
  if (!version.starts_with("1.")) {
    return false;
  }
  version.remove_prefix(2);
  const std::size_t digits = version.find_first_not_of("0123456789");
  if (digits == 0 || version.empty()) {
    return false;
  }
  if (digits == std::string_view::npos) {
    return true;
  }
  const bool separator = version[digits] == '.' || version[digits] == '-' || version[digits] == '+';
  return separator && std::all_of(version.begin(), version.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '+';
         });
}

}  // namespace

Result<Spec> ParseSpec(std::string_view json, std::string_view name) {
  JsonReader in{json, name};
  Spec spec;
  in.Object({{"ociVersion", spec.oci_version},
             {"root", spec.root},
             {"process", spec.process},
             {"hostname", spec.hostname},
             {"domainname", spec.domainname},
             {"mounts", spec.mounts},
             {"hooks", spec.hooks},
             {"annotations", spec.annotations},
             {"linux", spec.linux_}});
  in.Check(!spec.oci_version.empty(), "ociVersion", "required");
  in.Check(IsSupportedVersion(spec.oci_version), "ociVersion", "unsupported version \"" + spec.oci_version + "\"");
  in.Check(!spec.root.path.empty(), "root", "required");
  for (const auto& [key, value] : spec.annotations) {
    in.Check(!key.empty(), "annotations", "an empty key");
  }
  // The kernel's own bound on both names.
  constexpr std::size_t kMaxHostName = 64;
  in.Check(spec.hostname.size() <= kMaxHostName, "hostname", "longer than 64 bytes");
  in.Check(spec.domainname.size() <= kMaxHostName, "domainname", "longer than 64 bytes");
  TRY(in.Finish());
  return spec;
}

}  // namespace nucleus::oci
