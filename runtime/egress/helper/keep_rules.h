// Rules that were made and compared once, kept for later containers with the same policy (runtime/net/rule_image.h).
#pragma once

#include "runtime/egress/nft/socket.h"
#include "runtime/egress/nft/verify.h"
#include "runtime/egress/rules/compiled.h"
#include "runtime/net/request.h"

namespace nucleus::egress {

// Of a setup whose inner table is loaded and compared, and of which nothing else has come into the namespace. Where the
// request says; without success nothing is lost but time.
void KeepRules(nft::Socket& inner, const Compiled& compiled, const nft::Loaded& loaded,
               const net::HelperRequest& request);

}  // namespace nucleus::egress
