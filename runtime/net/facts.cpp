#include "runtime/net/facts.h"

#include <utility>

#include "base/json_writer.h"

namespace nucleus::net {

std::string Format(const Facts& facts) {
  JsonWriter out;
  out.BeginObject();
  out.Key("mode").String(facts.mode);
  if (!facts.policy_digest.empty()) {
    out.Key("policy").String("sha256:" + facts.policy_digest);
  }
  out.Key("generation").Uint(facts.generation);
  for (const auto& [name, loaded] : {std::pair{"inside", &facts.inside}, {"outside", &facts.outside}}) {
    if (*loaded) {
      out.Key(name).BeginObject();
      out.Key("handle").Uint((*loaded)->handle);
      out.Key("rules").Uint((*loaded)->rules);
      out.Key("elements").Uint((*loaded)->elements);
      out.EndObject();
    }
  }
  out.Key("names").Uint(facts.names);
  out.EndObject();
  return out.Take();
}

}  // namespace nucleus::net
