// What state.json keeps of an uplink: by which it is taken away, and by which its outer rules are found again.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "runtime/egress/rules/outer.h"

namespace nucleus::egress {

struct Record {
  std::string uplink;  // uplink::Remove's
  bool outer = false;  // there is a second table, on `link`
  bool here = false;   // in the namespace of the host, not in a router namespace
  OuterLink link;
};

std::string Format(const Record& record);
Result<Record> ParseRecord(std::string_view text);

}  // namespace nucleus::egress
