#include "runtime/cgroup/device_rules.h"

#include <linux/bpf.h>

#include <algorithm>

namespace nucleus::cgroup {
namespace {

constexpr int kAllAccess = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;

std::string AccessText(int bits) {
  std::string text;
  text += (bits & BPF_DEVCG_ACC_READ) != 0 ? "r" : "";
  text += (bits & BPF_DEVCG_ACC_WRITE) != 0 ? "w" : "";
  text += (bits & BPF_DEVCG_ACC_MKNOD) != 0 ? "m" : "";
  return text;
}

// -1 for any.
std::int64_t NumberOf(const std::optional<std::int64_t>& number) {
  return std::max<std::int64_t>(number.value_or(-1), -1);
}

bool Covers(const std::optional<std::int64_t>& pattern, const std::optional<std::int64_t>& other) {
  return NumberOf(pattern) == -1 || NumberOf(pattern) == NumberOf(other);
}
bool Covers(const oci::DeviceRule& pattern, const oci::DeviceRule& other) {
  return pattern.type == other.type && Covers(pattern.major, other.major) && Covers(pattern.minor, other.minor);
}
bool Meet(const oci::DeviceRule& one, const oci::DeviceRule& other) {
  return one.type == other.type && (Covers(one.major, other.major) || Covers(other.major, one.major)) &&
         (Covers(one.minor, other.minor) || Covers(other.minor, one.minor));
}
bool SamePattern(const oci::DeviceRule& one, const oci::DeviceRule& other) {
  return Covers(one, other) && Covers(other, one);
}

oci::DeviceRule Allow(char type, std::optional<std::int64_t> major, std::optional<std::int64_t> minor,
                      const char* access) {
  return {.allow = true, .type = type, .major = major, .minor = minor, .access = access};
}

std::string Describe(const oci::DeviceRule& rule) {
  const auto number = [](const std::optional<std::int64_t>& value) {
    return NumberOf(value) < 0 ? std::string{"*"} : std::to_string(*value);
  };
  return std::string{rule.type} + " " + number(rule.major) + ":" + number(rule.minor) + " " +
         AccessText(AccessBits(rule.access));
}

Result<> AddException(std::vector<oci::DeviceRule>& exceptions, const oci::DeviceRule& rule) {
  for (oci::DeviceRule& other : exceptions) {
    if (SamePattern(other, rule)) {
      other.access = AccessText(AccessBits(other.access) | AccessBits(rule.access));
      return {};
    }
  }
  exceptions.push_back(rule);
  exceptions.back().access = AccessText(AccessBits(rule.access));
  return {};
}

Result<> RemoveException(std::vector<oci::DeviceRule>& exceptions, const oci::DeviceRule& rule) {
  const int bits = AccessBits(rule.access);
  for (oci::DeviceRule& other : exceptions) {
    const int left = AccessBits(other.access) & ~bits;
    if (left == AccessBits(other.access) || !Meet(rule, other)) {
      continue;
    }
    if (!Covers(rule, other)) {
      return std::unexpected(
          Failure("cgroup v1 cannot except \"" + Describe(rule) + "\" from \"" + Describe(other) + "\"", EINVAL));
    }
    other.access = left != 0 ? AccessText(left) : "-";
  }
  std::erase_if(exceptions, [](const oci::DeviceRule& other) { return other.access == "-"; });
  return {};
}

}  // namespace

int AccessBits(const std::string& access) {
  int bits = 0;
  for (const char c : access) {
    bits |= c == 'r' ? BPF_DEVCG_ACC_READ : c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  }
  return bits == 0 ? kAllAccess : bits;
}

bool IsForEverything(const oci::DeviceRule& rule) {
  return rule.type == 'a' && NumberOf(rule.major) < 0 && NumberOf(rule.minor) < 0 &&
         AccessBits(rule.access) == kAllAccess;
}

std::vector<oci::DeviceRule> WithDefaultDevices(const std::vector<oci::DeviceRule>& rules) {
  // What no rule speaks of is denied, as with runc: a bundle without rules gets the default devices alone.
  std::vector<oci::DeviceRule> all = {{.allow = false, .type = 'a', .major = {}, .minor = {}, .access = "rwm"}};
  all.insert(all.end(), rules.begin(), rules.end());
  const oci::DeviceRule defaults[] = {
      Allow('c', {}, {}, "m"),    Allow('b', {}, {}, "m"),  // making a node opens nothing
      Allow('c', 1, 3, "rwm"),    Allow('c', 1, 5, "rwm"),  // null, zero
      Allow('c', 1, 7, "rwm"),    Allow('c', 1, 8, "rwm"),  // full, random
      Allow('c', 1, 9, "rwm"),    Allow('c', 5, 0, "rwm"),  // urandom, tty
      Allow('c', 5, 1, "rwm"),    Allow('c', 5, 2, "rwm"),  // console, ptmx
      Allow('c', 136, {}, "rwm"),                           // the slaves of a devpts
  };
  all.insert(all.end(), std::begin(defaults), std::end(defaults));
  return all;
}

Result<DeviceList> ForV1(const std::vector<oci::DeviceRule>& rules) {
  DeviceList list{.allow_others = true};
  for (const oci::DeviceRule& rule : rules) {
    if (IsForEverything(rule)) {
      list = {.allow_others = rule.allow};
      continue;
    }
    for (const char type : {'c', 'b'}) {
      if (rule.type == 'a' || rule.type == type) {
        oci::DeviceRule one = rule;
        one.type = type;
        TRY(rule.allow == list.allow_others ? RemoveException(list.exceptions, one)
                                            : AddException(list.exceptions, one));
      }
    }
  }
  return list;
}

}  // namespace nucleus::cgroup
