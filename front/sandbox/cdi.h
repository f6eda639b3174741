// Devices by the Container Device Interface's descriptions (CDI 0.8,
// https://github.com/cncf-tags/container-device-interface).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace nucleus::front {

struct CdiDevice {
  std::string path;  // inside
  std::string host_path;
  std::string type;  // "c", "b"
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::string access = "rwm";
};

struct CdiMount {
  std::string source;
  std::string destination;
  std::vector<std::string> options;
};

// What the descriptions add to a container. Hooks are refused: they would run on the host.
struct CdiEdits {
  std::vector<std::string> environment;
  std::vector<CdiDevice> devices;
  std::vector<CdiMount> mounts;
};

// `names` are VENDOR/CLASS=DEVICE; `directories` are searched for *.json.
Result<CdiEdits> FindCdiDevices(const std::vector<std::string>& names, const std::vector<std::string>& directories);

}  // namespace nucleus::front
