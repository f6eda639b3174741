// What the commands tell the event stream, where somebody asked for one (Settings::events). For the shim as well.
#pragma once

#include "runtime/container/container.h"
#include "runtime/evidence/chain.h"

namespace nucleus::container {

// An event of what is done already: one that cannot be written is counted as lost, and warned of.
void Tell(const Settings& settings, const evidence::Event& event);

// "failed", with the stage and the error; `kind` "refused" where nothing was made yet.
void TellFailure(const Settings& settings, const std::string& id, std::string_view stage, const Error& error,
                 std::string_view kind = "failed");

}  // namespace nucleus::container
