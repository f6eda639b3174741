// What the modes of an uplink have in common (uplink.h).
#pragma once

#include "base/fd.h"
#include "runtime/egress/uplink/uplink.h"

namespace nucleus::uplink {

struct Uplink::Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  virtual ~Impl() = default;
  virtual Result<> Attach() = 0;
  [[nodiscard]] virtual int process() const {
    return -1;
  }

  Fd filter_netns;
  std::string filter_device;
  Station station;
  Mac container_mac{};
  Mac gateway_mac{};
  std::string record;

  static Result<std::unique_ptr<Impl>> PrepareBridge(const Request& request);
  static Result<std::unique_ptr<Impl>> PrepareUserspace(const Request& request);
};

// Of records that begin with these words.
inline constexpr std::string_view kBridgeRecord = "bridge";
inline constexpr std::string_view kUserspaceRecord = "userspace";
Result<> RemoveBridge(const std::vector<std::string>& words, const std::string& run_dir);
Result<> RemoveUserspace(const std::vector<std::string>& words);

// The device of the container.
inline constexpr const char* kContainerDevice = "eth0";

}  // namespace nucleus::uplink
