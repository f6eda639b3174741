#include "runtime/net/request.h"

#include "base/json_writer.h"
#include "oci-config/json_reader.h"

namespace nucleus::net {

std::string Format(const HelperRequest& request) {
  JsonWriter out;
  out.BeginObject();
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, const std::string*>>{{"operation", &request.operation},
                                                                         {"id", &request.id},
                                                                         {"mode", &request.mode},
                                                                         {"publish", &request.publish},
                                                                         {"members", &request.members},
                                                                         {"policy", &request.policy},
                                                                         {"policyName", &request.policy_name},
                                                                         {"policyDigest", &request.policy_digest},
                                                                         {"record", &request.record},
                                                                         {"runDirectory", &request.run_directory},
                                                                         {"stateDirectory", &request.state_directory},
                                                                         {"stateRoot", &request.state_root},
                                                                         {"events", &request.events},
                                                                         {"imageDirectory", &request.image_directory},
                                                                         {"imageKey", &request.image_key}}) {
    out.Key(key).String(*value);
  }
  out.Key("filtered").Bool(request.filtered);
  out.Key("endWithGate").Bool(request.end_with_gate);
  out.Key("direct").Bool(request.direct);
  out.Key("ownStack").Bool(request.own_stack);
  out.Key("rootless").Bool(request.rootless);
  out.Key("json").Bool(request.json);
  out.Key("generation").Uint(request.generation);
  out.EndObject();
  return out.Take();
}

Result<HelperRequest> ParseHelperRequest(std::string_view text) {
  oci::JsonReader in{text, "request"};
  HelperRequest request;
  in.Object({{"operation", request.operation},
             {"id", request.id},
             {"mode", request.mode},
             {"publish", request.publish},
             {"members", request.members},
             {"filtered", request.filtered},
             {"endWithGate", request.end_with_gate},
             {"direct", request.direct},
             {"ownStack", request.own_stack},
             {"rootless", request.rootless},
             {"json", request.json},
             {"policy", request.policy},
             {"policyName", request.policy_name},
             {"policyDigest", request.policy_digest},
             {"record", request.record},
             {"runDirectory", request.run_directory},
             {"stateDirectory", request.state_directory},
             {"stateRoot", request.state_root},
             {"events", request.events},
             {"imageDirectory", request.image_directory},
             {"imageKey", request.image_key},
             {"generation", request.generation}});
  TRY(in.Finish());
  return request;
}

}  // namespace nucleus::net
