#include "runtime/systemd/scope.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "runtime/cgroup/resources.h"
#include "runtime/sys/number_list.h"

namespace nucleus::systemd {
namespace {

constexpr std::string_view kSliceSuffix = ".slice";
constexpr std::size_t kMaxUnitName = 255;
constexpr std::uint64_t kDefaultPeriodUs = 100000;

bool IsUnitName(std::string_view name) {
  return name.size() <= kMaxUnitName && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view{":-_.\\@"}.find(c) != std::string_view::npos;
         });
}

struct Names {
  std::string slice;
  std::string prefix;
  std::string name;
};

Result<Names> SplitPath(const std::string& path, const std::string& id) {
  if (path.empty()) {
    return Names{.slice = "", .prefix = "nucleus", .name = id};
  }
  const std::size_t first = path.find(':');
  const std::size_t second = first == std::string::npos ? first : path.find(':', first + 1);
  if (second == std::string::npos || path.find(':', second + 1) != std::string::npos) {
    return std::unexpected(Failure(
        "linux.cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"" +
            path + "\" instead",
        EINVAL));
  }
  return Names{.slice = path.substr(0, first),
               .prefix = path.substr(first + 1, second - first - 1),
               .name = path.substr(second + 1)};
}

// A negative amount is none.
Property Amount(const char* name, std::int64_t value) {
  return value < 0 ? Property{.name = name, .signature = "t", .items = {kInfinity}}
                   : Number(name, static_cast<std::uint64_t>(value));
}

// systemd keeps CPU time as whole percents of a second; rounded up, so that cgroups below can have all that was asked.
Property Quota(std::int64_t quota, std::uint64_t period) {
  constexpr std::uint64_t kSecond = 1000000;
  constexpr std::uint64_t kPercent = 10000;
  if (quota <= 0 || static_cast<std::uint64_t>(quota) > std::numeric_limits<std::uint64_t>::max() / kSecond) {
    return {.name = "CPUQuotaPerSecUSec", .signature = "t", .items = {kInfinity}};
  }
  const std::uint64_t per_second = static_cast<std::uint64_t>(quota) * kSecond / period;
  return Number("CPUQuotaPerSecUSec", std::max(kPercent, (per_second + kPercent - 1) / kPercent * kPercent));
}

// A bit for each number, in bytes from the lowest on.
Result<Property> Bits(const char* name, const std::string& list) {
  constexpr unsigned kBits = 8;
  std::vector<unsigned> bytes;
  for (const unsigned number : TRY(sys::ParseNumberList(list))) {
    if (number / kBits >= bytes.size()) {
      bytes.resize(number / kBits + 1);
    }
    bytes[number / kBits] |= 1U << number % kBits;
  }
  Property property{.name = name, .signature = "ay", .items = {}};
  for (const unsigned byte : bytes) {
    property.items.push_back(std::to_string(byte));
  }
  return property;
}

Property Tasks(std::int64_t limit) {
  // systemd knows no limit of 0; the file has it.
  return Amount("TasksMax", limit == 0 ? 1 : limit);
}

Result<> AddMemory(const oci::MemoryResources& memory, bool unified, std::vector<Property>& properties) {
  if (memory.limit) {
    Set(properties, Amount(unified ? "MemoryMax" : "MemoryLimit", *memory.limit));
  }
  if (!unified) {
    return {};
  }
  if (memory.reservation) {
    Set(properties, Amount("MemoryLow", *memory.reservation));
  }
  if (memory.swap) {
    Set(properties, Amount("MemorySwapMax", TRY(cgroup::SwapAlone(memory))));
  }
  return {};
}

Result<> AddCpu(const oci::CpuResources& cpu, bool unified, std::vector<Property>& properties) {
  if (unified && cpu.idle.value_or(0) != 0) {
    Set(properties, Number("CPUWeight", 0));  // systemd's word for idle
  } else if (cpu.shares) {
    Set(properties,
        unified ? Number("CPUWeight", cgroup::SharesToWeight(*cpu.shares)) : Number("CPUShares", *cpu.shares));
  }
  if (cpu.period) {
    Set(properties, Number("CPUQuotaPeriodUSec", *cpu.period));
  }
  if (cpu.quota || cpu.period) {
    Set(properties, Quota(cpu.quota.value_or(-1), cpu.period.value_or(kDefaultPeriodUs)));
  }
  if (!cpu.cpus.empty()) {
    Set(properties, TRY_IN("linux.resources.cpu.cpus", Bits("AllowedCPUs", cpu.cpus)));
  }
  if (!cpu.mems.empty()) {
    Set(properties, TRY_IN("linux.resources.cpu.mems", Bits("AllowedMemoryNodes", cpu.mems)));
  }
  return {};
}

Result<std::int64_t> ParseAmount(std::string_view text) {
  if (text == "max") {
    return -1;
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < 0) {
    return std::unexpected(Failure("a number or \"max\" is expected", EINVAL));
  }
  return value;
}

Result<> AddUnified(const std::string& file, std::string_view value, std::vector<Property>& properties) {
  while (value.ends_with('\n')) {
    value.remove_suffix(1);
  }
  const std::pair<std::string_view, const char*> amounts[] = {
      {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},          {"memory.min", "MemoryMin"},
      {"memory.max", "MemoryMax"},   {"memory.swap.max", "MemorySwapMax"}, {"cpu.weight", "CPUWeight"}};
  for (const auto& [name, property] : amounts) {
    if (file == name) {
      Set(properties, Amount(property, TRY(ParseAmount(value))));
    }
  }
  if (file == "pids.max") {
    Set(properties, Tasks(TRY(ParseAmount(value))));
  } else if (file == "cpu.idle" && value == "1") {
    Set(properties, Number("CPUWeight", 0));
  } else if (file == "cpuset.cpus") {
    Set(properties, TRY(Bits("AllowedCPUs", std::string{value})));
  } else if (file == "cpuset.mems") {
    Set(properties, TRY(Bits("AllowedMemoryNodes", std::string{value})));
  } else if (file == "cpu.max") {
    const std::size_t space = value.find(' ');
    const std::int64_t quota = TRY(ParseAmount(value.substr(0, space)));
    std::uint64_t period = kDefaultPeriodUs;
    if (space != std::string_view::npos) {
      period = static_cast<std::uint64_t>(TRY(ParseAmount(value.substr(space + 1))));
      if (period == 0) {
        return std::unexpected(Failure("a period is expected", EINVAL));
      }
      Set(properties, Number("CPUQuotaPeriodUSec", period));
    }
    Set(properties, Quota(quota, period));
  }
  return {};
}

}  // namespace

Result<std::string> ExpandSlice(const std::string& slice) {
  const std::unexpected<Error> invalid{Failure("invalid slice name: \"" + slice + "\"", EINVAL)};
  if (!slice.ends_with(kSliceSuffix) || !IsUnitName(slice)) {
    return invalid;
  }
  const std::string name = slice.substr(0, slice.size() - kSliceSuffix.size());
  if (name == "-") {
    return std::string{};
  }
  std::string path;
  for (std::size_t dash = 0; dash != std::string::npos;) {
    const std::size_t begin = dash == 0 ? 0 : dash + 1;
    dash = name.find('-', begin);
    if (begin == name.size() || dash == begin) {
      return invalid;
    }
    path += "/" + name.substr(0, dash);
    path += kSliceSuffix;
  }
  return path;
}

Result<std::vector<Property>> ResourceProperties(const oci::Resources& given, bool unified) {
  const oci::Resources resources = cgroup::WithoutZeros(given);
  std::vector<Property> properties;
  if (resources.memory) {
    TRY(AddMemory(*resources.memory, unified, properties));
  }
  if (resources.cpu) {
    TRY(AddCpu(*resources.cpu, unified, properties));
  }
  if (resources.pids_limit) {
    Set(properties, Tasks(*resources.pids_limit));
  }
  if (resources.block_io && resources.block_io->weight) {
    const std::uint64_t weight = *resources.block_io->weight;
    Set(properties, unified ? Number("IOWeight", cgroup::BlockIoToWeight(weight)) : Number("BlockIOWeight", weight));
  }
  for (const auto& [file, value] : resources.unified) {
    TRY_IN("linux.resources.unified[\"" + file + "\"]", AddUnified(file, value, properties));
  }
  return properties;
}

Result<Scope> PlanScope(const std::string& id, const oci::Spec& spec, bool user, bool unified) {
  if (user && !unified) {
    return std::unexpected(Failure("the systemd cgroup driver needs cgroup v2 alone for an ordinary user", ENOTSUP));
  }
  Names names = TRY(SplitPath(spec.linux_.cgroups_path, id));
  if (names.name.ends_with(kSliceSuffix)) {
    return std::unexpected(Failure("linux.cgroupsPath: \"" + names.name + "\": a slice takes no processes", EINVAL));
  }
  Scope scope;
  scope.user = user;
  scope.unit = names.prefix + "-" + names.name + ".scope";
  if (!IsUnitName(scope.unit)) {
    return std::unexpected(Failure("linux.cgroupsPath: invalid unit name: \"" + scope.unit + "\"", EINVAL));
  }
  scope.slice = !names.slice.empty() ? names.slice : user ? "user.slice" : "system.slice";
  if (scope.slice == "-") {
    scope.slice = "-.slice";
  }
  scope.path = TRY_IN("linux.cgroupsPath", ExpandSlice(scope.slice)) + "/" + scope.unit;
  scope.properties = {Text("Description", "nucleus container " + id),
                      Text("Slice", scope.slice),
                      Flag("Delegate", true),
                      Flag("DefaultDependencies", false),
                      Flag("MemoryAccounting", true),
                      Flag("CPUAccounting", true),
                      Flag(unified ? "IOAccounting" : "BlockIOAccounting", true),
                      Flag("TasksAccounting", true)};
  if (spec.linux_.resources) {
    for (Property& property : TRY(ResourceProperties(*spec.linux_.resources, unified))) {
      Set(scope.properties, std::move(property));
    }
  }
  for (Property& property : TRY(AnnotatedProperties(spec.annotations))) {
    Set(scope.properties, std::move(property));
  }
  return scope;
}

}  // namespace nucleus::systemd
