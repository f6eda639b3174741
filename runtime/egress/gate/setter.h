// The process that grants, and makes the sockets towards the servers. Inside runtime/egress/gate only.
#pragma once

#include "runtime/egress/gate/gate.h"

namespace nucleus::gate {

// Until the parser (`channel`) or the supervisor (`life`) is gone. What the parser says is checked: it may have been
// taken over by what it reads.
void RunSetter(const Config& config, Sets& sets, int channel, int life);

}  // namespace nucleus::gate
