// The process that reads DNS messages. Inside runtime/egress/gate only.
#pragma once

#include "runtime/egress/gate/gate.h"

namespace nucleus::gate {

// With the descriptors of confine.h, until the setter or the supervisor is gone. `report`: is there a kReportFd?
void RunParser(const Config& config, bool report);

}  // namespace nucleus::gate
