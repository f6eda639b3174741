#include "runtime/net/refusal.h"

#include "base/one_line.h"
#include "oci-config/json_reader.h"

namespace nucleus::net {

std::optional<Refusal> ParseRefusal(std::string_view line) {
  Refusal refusal;
  oci::JsonReader in{line, "refusal"};
  in.Object({{"time", refusal.time},
             {"protocol", refusal.protocol},
             {"destination", refusal.destination},
             {"name", refusal.name},
             {"type", refusal.type},
             {"reason", refusal.reason},
             {"port", refusal.port},
             {"outside", refusal.outside}});
  return in.Finish() ? std::optional{std::move(refusal)} : std::nullopt;
}

std::string RefusalText(const Refusal& refusal) {
  if (refusal.protocol.empty()) {
    return OneLine(refusal.time + " dns " + refusal.name + " " + refusal.type + " (" + refusal.reason + ")");
  }
  return OneLine(refusal.time + " " + refusal.protocol + " " + refusal.destination +
                 (refusal.port == 0 ? "" : " port " + std::to_string(refusal.port)) +
                 (refusal.name.empty() ? "" : " (" + refusal.name + ")"));
}

}  // namespace nucleus::net
