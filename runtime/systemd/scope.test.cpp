// Which unit a container gets, and with what limits.

#include "runtime/systemd/scope.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::systemd {
namespace {

std::string Told(const std::vector<Property>& properties, std::string_view name) {
  for (const Property& property : properties) {
    if (property.name == name) {
      std::string told = property.signature;
      for (const std::string& item : property.items) {
        told += " " + item;
      }
      return told;
    }
  }
  return "absent";
}

Result<Scope> Plan(const std::string& path, bool user = false, bool unified = true) {
  oci::Spec spec;
  spec.linux_.cgroups_path = path;
  return PlanScope("box", spec, user, unified);
}

std::string Place(const std::string& path, bool user = false) {
  const Result<Scope> scope = Plan(path, user);
  return scope ? scope->slice + " " + scope->unit + " " + scope->path : "error: " + scope.error().message;
}

std::vector<Property> Limits(const oci::Resources& resources, bool unified = true) {
  Result<std::vector<Property>> properties = ResourceProperties(resources, unified);
  BOOST_REQUIRE_MESSAGE(properties.has_value(), properties.error().message);
  return *std::move(properties);
}

std::string Unified(const std::string& file, const std::string& value, std::string_view property) {
  oci::Resources resources;
  resources.unified[file] = value;
  const Result<std::vector<Property>> properties = ResourceProperties(resources, true);
  return properties ? Told(*properties, property) : "error: " + properties.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(systemd_scope)

BOOST_AUTO_TEST_CASE(slices) {
  BOOST_TEST(ExpandSlice("system.slice").value_or("?") == "/system.slice");
  BOOST_TEST(ExpandSlice("a-b-c.slice").value_or("?") == "/a.slice/a-b.slice/a-b-c.slice");
  BOOST_TEST(ExpandSlice("-.slice").value_or("?").empty());
  for (const char* slice : {"", ".slice", "a", "a.scope", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", "--.slice",
                            "a b.slice", "../a.slice"}) {
    BOOST_TEST(!ExpandSlice(slice).has_value(), slice);
  }
}

BOOST_AUTO_TEST_CASE(places) {
  BOOST_TEST(Place("") == "system.slice nucleus-box.scope /system.slice/nucleus-box.scope");
  BOOST_TEST(Place("", true) == "user.slice nucleus-box.scope /user.slice/nucleus-box.scope");
  BOOST_TEST(Place("machine-a.slice:libpod:0123") ==
             "machine-a.slice libpod-0123.scope /machine.slice/machine-a.slice/libpod-0123.scope");
  BOOST_TEST(Place(":p:n") == "system.slice p-n.scope /system.slice/p-n.scope");
  BOOST_TEST(Place("::n") == "system.slice -n.scope /system.slice/-n.scope");
  BOOST_TEST(Place("-:p:n") == "-.slice p-n.scope /p-n.scope");
}

BOOST_AUTO_TEST_CASE(refusals) {
  BOOST_TEST(Place("/a/b") ==
             "error: linux.cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" "
             "for systemd cgroups, got \"/a/b\" instead");
  for (const char* path : {"a.slice:b", "a:b:c:d", "a:b:c", "a.slice:b:c/d", "a.slice:b c:d", "a.slice:p:b.slice"}) {
    BOOST_TEST(Place(path).starts_with("error: linux.cgroupsPath: "), path);
  }
  BOOST_TEST(Place(":p:" + std::string(250, 'x')).starts_with("error: linux.cgroupsPath: invalid unit name"));
  BOOST_TEST(!Plan("", true, false).has_value());
}

BOOST_AUTO_TEST_CASE(properties) {
  const Scope scope = Plan("a.slice:p:n").value();
  BOOST_TEST(Told(scope.properties, "Slice") == "s a.slice");
  BOOST_TEST(Told(scope.properties, "Delegate") == "b true");
  BOOST_TEST(Told(scope.properties, "DefaultDependencies") == "b false");
  BOOST_TEST(Told(scope.properties, "Description") == "s nucleus container box");
  BOOST_TEST(Told(scope.properties, "IOAccounting") == "b true");
  BOOST_TEST(Told(Plan("", false, false)->properties, "BlockIOAccounting") == "b true");

  oci::Spec spec;
  spec.annotations = {{"org.systemd.property.Description", "'mine'"}, {"org.systemd.property.TasksMax", "uint64 5"}};
  spec.linux_.resources.emplace().pids_limit = 7;
  const Scope annotated = PlanScope("box", spec, false, true).value();
  BOOST_TEST(Told(annotated.properties, "Description") == "s mine");
  BOOST_TEST(Told(annotated.properties, "TasksMax") == "t 5");
  spec.annotations = {{"org.systemd.property.Description", "mine"}};
  BOOST_TEST(!PlanScope("box", spec, false, true).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(systemd_limits)

BOOST_AUTO_TEST_CASE(memory) {
  oci::Resources resources;
  resources.memory.emplace() = {.limit = 4096, .reservation = 2048, .swap = 6144};
  BOOST_TEST(Told(Limits(resources), "MemoryMax") == "t 4096");
  BOOST_TEST(Told(Limits(resources), "MemoryLow") == "t 2048");
  BOOST_TEST(Told(Limits(resources), "MemorySwapMax") == "t 2048");
  BOOST_TEST(Told(Limits(resources, false), "MemoryLimit") == "t 4096");
  BOOST_TEST(Limits(resources, false).size() == 1U);
  resources.memory.emplace() = {.limit = -1, .swap = -1};
  BOOST_TEST(Told(Limits(resources), "MemoryMax") == "t 18446744073709551615");
  BOOST_TEST(Told(Limits(resources), "MemorySwapMax") == "t 18446744073709551615");
  resources.memory.emplace() = {.limit = 0};
  BOOST_TEST(Limits(resources).empty());
  resources.memory.emplace() = {.swap = 4096};
  BOOST_TEST(!ResourceProperties(resources, true).has_value());
}

BOOST_AUTO_TEST_CASE(cpu) {
  const auto quota = [](std::optional<std::int64_t> amount, std::optional<std::uint64_t> period) {
    oci::Resources resources;
    resources.cpu.emplace() = {.quota = amount, .period = period};
    return Told(Limits(resources), "CPUQuotaPerSecUSec") + ", " + Told(Limits(resources), "CPUQuotaPeriodUSec");
  };
  BOOST_TEST(quota(50000, 100000) == "t 500000, t 100000");
  BOOST_TEST(quota(50000, std::nullopt) == "t 500000, absent");
  BOOST_TEST(quota(2510, 50000) == "t 60000, t 50000");  // 5.02 percent
  BOOST_TEST(quota(1000, 1000000) == "t 10000, t 1000000");
  BOOST_TEST(quota(-1, 100000) == "t 18446744073709551615, t 100000");
  BOOST_TEST(quota(std::nullopt, 100000) == "t 18446744073709551615, t 100000");
  BOOST_TEST(quota(std::nullopt, std::nullopt) == "absent, absent");
  BOOST_TEST(quota(INT64_MAX, 1) == "t 18446744073709551615, t 1");

  oci::Resources resources;
  resources.cpu.emplace() = {.shares = 1024, .cpus = "0-1,9", .mems = "0"};
  BOOST_TEST(Told(Limits(resources), "CPUWeight") == "t 39");
  BOOST_TEST(Told(Limits(resources, false), "CPUShares") == "t 1024");
  BOOST_TEST(Told(Limits(resources), "AllowedCPUs") == "ay 3 2");
  BOOST_TEST(Told(Limits(resources), "AllowedMemoryNodes") == "ay 1");
  resources.cpu->idle = 1;
  BOOST_TEST(Told(Limits(resources), "CPUWeight") == "t 0");
  resources.cpu->cpus = "a";
  BOOST_TEST(!ResourceProperties(resources, true).has_value());
}

BOOST_AUTO_TEST_CASE(others) {
  oci::Resources resources;
  resources.pids_limit = 5;
  resources.block_io.emplace().weight = 1000;
  BOOST_TEST(Told(Limits(resources), "TasksMax") == "t 5");
  BOOST_TEST(Told(Limits(resources), "IOWeight") == "t 10000");
  BOOST_TEST(Told(Limits(resources, false), "BlockIOWeight") == "t 1000");
  resources.pids_limit = 0;
  BOOST_TEST(Told(Limits(resources), "TasksMax") == "t 1");
  resources.pids_limit = -1;
  BOOST_TEST(Told(Limits(resources), "TasksMax") == "t 18446744073709551615");
}

BOOST_AUTO_TEST_CASE(files_of_v2) {
  BOOST_TEST(Unified("memory.high", "4096\n", "MemoryHigh") == "t 4096");
  BOOST_TEST(Unified("memory.max", "max", "MemoryMax") == "t 18446744073709551615");
  BOOST_TEST(Unified("memory.swap.max", "0", "MemorySwapMax") == "t 0");
  BOOST_TEST(Unified("pids.max", "9", "TasksMax") == "t 9");
  BOOST_TEST(Unified("cpu.weight", "9", "CPUWeight") == "t 9");
  BOOST_TEST(Unified("cpu.idle", "1", "CPUWeight") == "t 0");
  BOOST_TEST(Unified("cpu.max", "1000 100000", "CPUQuotaPerSecUSec") == "t 10000");
  BOOST_TEST(Unified("cpu.max", "max", "CPUQuotaPerSecUSec") == "t 18446744073709551615");
  BOOST_TEST(Unified("cpuset.cpus", "1", "AllowedCPUs") == "ay 2");
  for (const auto& [file, value] : oci::StringMap{{"memory.high", "a"},
                                                  {"pids.max", ""},
                                                  {"cpu.max", "1 0"},
                                                  {"cpu.max ", "x"},
                                                  {"memory.max", "-1"},
                                                  {"cpuset.cpus", "x"}}) {
    const std::string told = Unified(file, value, "Any");
    BOOST_TEST((told.starts_with("error: linux.resources.unified[\"" + file + "\"]") || file == "cpu.max "), file);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::systemd
