// config.json's `root` and `mounts`.

#include "oci-config/read.h"

namespace nucleus::oci {

void Read(JsonReader& in, Root& out) {
  out = {};
  in.Object({{"path", out.path}, {"readonly", out.readonly}});
  in.Check(!out.path.empty(), "path", "required");
}

void Read(JsonReader& in, Mount& out) {
  out = {};
  in.Object({{"destination", out.destination},
             {"type", out.type},
             {"source", out.source},
             {"options", out.options},
             {"uidMappings", out.uid_mappings},
             {"gidMappings", out.gid_mappings}});
  in.Check(!out.destination.empty(), "destination", "required");
  in.Check(out.uid_mappings.empty() == out.gid_mappings.empty(),
           out.uid_mappings.empty() ? "uidMappings" : "gidMappings", "uidMappings and gidMappings go together");
  CheckMappings(in, "uidMappings", out.uid_mappings);
  CheckMappings(in, "gidMappings", out.gid_mappings);
}

}  // namespace nucleus::oci
