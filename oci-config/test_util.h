// What the tests of this folder share: a smallest good config.json with something put into it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "oci-config/parse.h"

namespace nucleus::oci::testing {

// `members`: more members of the object, "" for none.
inline std::string Config(std::string_view members) {
  std::string text = R"({"ociVersion": "1.3.0", "root": {"path": "rootfs"})";
  text += members.empty() ? "" : ", ";
  text += members;
  return text + "}";
}
inline std::string LinuxConfig(std::string_view members) {
  return Config(R"("linux": {)" + std::string{members} + "}");
}
inline std::string ResourcesConfig(std::string_view members) {
  return LinuxConfig(R"("resources": {)" + std::string{members} + "}");
}
inline std::string SeccompConfig(std::string_view members) {
  return LinuxConfig(R"("seccomp": {"defaultAction": "SCMP_ACT_ERRNO", )" + std::string{members} + "}");
}
inline std::string ProcessConfig(std::string_view members) {
  return Config(R"("process": {"cwd": "/", "args": ["sh"], )" + std::string{members} + "}");
}

// The error's text, or "accepted".
inline std::string ErrorOf(std::string_view json) {
  const Result<Spec> spec = ParseSpec(json, "config.json");
  return spec ? "accepted" : spec.error().message;
}
inline Spec Good(std::string_view json) {
  Result<Spec> spec = ParseSpec(json, "config.json");
  if (!spec) {
    throw std::runtime_error(spec.error().message + "\nin " + std::string{json.substr(0, 2000)});
  }
  return *std::move(spec);
}

// A fragment of JSON and the error that it must give, without "config.json: ".
struct Refusal {
  std::string_view fragment;
  std::string_view error;
};

using Strings = std::vector<std::string>;

}  // namespace nucleus::oci::testing
