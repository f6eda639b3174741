#include "runtime/egress/uplink/uplink.h"

#include "runtime/egress/uplink/impl.h"
#include "runtime/egress/uplink/netns.h"

namespace nucleus::uplink {

Uplink::Uplink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Uplink::Uplink(Uplink&&) noexcept = default;
Uplink& Uplink::operator=(Uplink&&) noexcept = default;
Uplink::~Uplink() = default;

Result<Uplink> Uplink::Prepare(const Request& request) {
  if (TRY(NetnsName(request.container_netns)) == TRY(NetnsName())) {
    return std::unexpected(Failure("the container has the network namespace of its host", EINVAL));
  }
  return Uplink{TRY(request.mode == Mode::kBridge ? Impl::PrepareBridge(request) : Impl::PrepareUserspace(request))};
}

int Uplink::filter_netns() const {
  return impl_->filter_netns.get();
}
const std::string& Uplink::filter_device() const {
  return impl_->filter_device;
}
const Station& Uplink::station() const {
  return impl_->station;
}
const Mac& Uplink::container_mac() const {
  return impl_->container_mac;
}
const Mac& Uplink::gateway_mac() const {
  return impl_->gateway_mac;
}
Result<> Uplink::Attach() {
  return impl_->Attach();
}
int Uplink::process() const {
  return impl_->process();
}
const std::string& Uplink::record() const {
  return impl_->record;
}

Result<> Remove(std::string_view record, const std::string& run_dir) {
  std::vector<std::string> words;
  while (!record.empty()) {
    const std::size_t space = record.find(' ');
    words.emplace_back(record.substr(0, space));
    record.remove_prefix(space == std::string_view::npos ? record.size() : space + 1);
  }
  if (!words.empty() && words[0] == kBridgeRecord) {
    return RemoveBridge(words, run_dir);
  }
  if (!words.empty() && words[0] == kUserspaceRecord) {
    return RemoveUserspace(words);
  }
  return std::unexpected(Failure("not the record of an uplink", EINVAL));
}

}  // namespace nucleus::uplink
