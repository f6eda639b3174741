#include "runtime/egress/helper/record.h"

#include "base/json_writer.h"
#include "oci-config/json_reader.h"

namespace nucleus::egress {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string Unhex(oci::JsonReader& in, std::string_view key, std::string_view text,
                  std::initializer_list<std::size_t> sizes) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const std::size_t high = kDigits.find(text[i]);
    const std::size_t low = kDigits.find(text[i + 1]);
    in.Check(high != std::string_view::npos && low != std::string_view::npos, key, "must be hex digits");
    bytes += static_cast<char>(high << 4 | low);
  }
  bool fits = false;
  for (const std::size_t size : sizes) {
    fits = fits || bytes.size() == size;
  }
  in.Check(fits && text.size() % 2 == 0, key, "has a wrong length");
  return bytes;
}

}  // namespace

std::string Format(const Record& record) {
  JsonWriter out;
  out.BeginObject();
  out.Key("uplink").String(record.uplink);
  if (record.outer) {
    out.Key("outer").Bool(true);
    out.Key("here").Bool(record.here);
    out.Key("device").String(record.link.device);
    out.Key("mac").String(Hex(record.link.mac));
    out.Key("v4").String(Hex(record.link.address[kIpv4]));
    out.Key("v6").String(Hex(record.link.address[kIpv6]));
  }
  out.EndObject();
  return out.Take();
}

Result<Record> ParseRecord(std::string_view text) {
  Record record;
  if (text.empty()) {
    return record;
  }
  oci::JsonReader in{text, "state.json: network.record"};
  std::string mac;
  std::string v4;
  std::string v6;
  in.Object({{"uplink", record.uplink},
             {"outer", record.outer},
             {"here", record.here},
             {"device", record.link.device},
             {"mac", mac},
             {"v4", v4},
             {"v6", v6}});
  if (record.outer) {
    record.link.mac = Unhex(in, "mac", mac, {6});
    record.link.address[kIpv4] = Unhex(in, "v4", v4, {0, 4});
    record.link.address[kIpv6] = Unhex(in, "v6", v6, {0, 16});
  }
  TRY(in.Finish());
  return record;
}

}  // namespace nucleus::egress
