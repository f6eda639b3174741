// A packet that was refused, and the record of an uplink: neither reads beyond its end, and a record is written as
// read.

#include <cstdlib>
#include <string_view>

#include "runtime/egress/helper/record.h"
#include "runtime/egress/helper/refusals.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  for (const std::uint16_t protocol : {0x0800, 0x86DD, 0x0806, 0x1234}) {
    const auto packet = nucleus::egress::ReadPacket(protocol, bytes);
    if (packet && (packet->protocol.empty() || packet->destination.empty())) {
      std::abort();
    }
  }
  if (const auto record = nucleus::egress::ParseRecord(bytes)) {
    const std::string text = nucleus::egress::Format(*record);
    const auto again = nucleus::egress::ParseRecord(text);
    if (!again || nucleus::egress::Format(*again) != text) {
      std::abort();
    }
  }
  return 0;
}
