// Lists of device rules, before they are put in v1's or v2's terms.
//
// What a list means (config-linux.md "Allowed Device list"): each kind of access (read, write, mknod) to a device is
// decided by the last rule that matches it.
#pragma once

#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::cgroup {

// BPF_DEVCG_ACC_* of "rwm"; all for an empty text.
int AccessBits(const std::string& access);

// Says the same of every device and every access.
bool IsForEverything(const oci::DeviceRule& rule);

// The rules of the bundle between those that every container has: everything denied before them; behind them the
// default devices, terminals, and making nodes of any kind (a node alone opens nothing).
std::vector<oci::DeviceRule> WithDefaultDevices(const std::vector<oci::DeviceRule>& rules);

// The v1 controller knows one answer for all devices and exceptions from it, each a pattern and the access it is about.
struct DeviceList {
  bool allow_others = false;
  std::vector<oci::DeviceRule> exceptions;  // of the other kind, types b and c only
};

// The same list in v1's terms. An error where that cannot be done: a rule that takes a part out of an earlier wildcard
// ("c 10:* rw" allowed, then "c 10:229 w" denied) would have no effect there.
Result<DeviceList> ForV1(const std::vector<oci::DeviceRule>& rules);

}  // namespace nucleus::cgroup
