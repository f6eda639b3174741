// config.json's `hooks`.

#include "oci-config/read.h"

namespace nucleus::oci {

void Read(JsonReader& in, Hook& out) {
  out = {};
  in.Object({{"path", out.path}, {"args", out.args}, {"env", out.env}, {"timeout", out.timeout}});
  in.Check(IsAbsolute(out.path), "path", "must be an absolute path");
  in.Check(!out.timeout || *out.timeout > 0, "timeout", "must be greater than 0");
}

void Read(JsonReader& in, Hooks& out) {
  out = {};
  in.Object({{"prestart", out.prestart},
             {"createRuntime", out.create_runtime},
             {"createContainer", out.create_container},
             {"startContainer", out.start_container},
             {"poststart", out.poststart},
             {"poststop", out.poststop}});
}

}  // namespace nucleus::oci
