// What production mode adds to a plan, and what it refuses in which words.

#include "runtime/plan/production.h"

#include <sys/mount.h>

#include <boost/test/unit_test.hpp>
#include <functional>

#include "oci-config/parse.h"

namespace nucleus::plan {
namespace {

constexpr const char* kLimits = R"("resources": {"memory": {"limit": 1048576}, "pids": {"limit": 10}})";

struct Case {
  std::string mounts;
  std::string limits = kLimits;
  bool readonly = true;
  bool manifest = true;
  bool cgroups = true;
  std::string capabilities;  // TOML
};

struct Planned {
  oci::Spec spec;
  Plan plan;
  policies::Policies policies;
};

Planned Make(const Case& wanted) {
  const std::string json = R"({"ociVersion": "1.3.0", "root": {"path": "rootfs", "readonly": )" +
                           std::string{wanted.readonly ? "true" : "false"} +
                           R"(}, "linux": {"namespaces": [{"type": "mount"}], )" + wanted.limits + R"(}, "mounts": [)" +
                           wanted.mounts + "]}";
  Planned planned;
  planned.spec = oci::ParseSpec(json, "config.json").value();
  Host host;
  host.cgroups.hierarchies = {{.name = "",
                               .controllers = {"memory"},
                               .mount_point = "/sys/fs/cgroup",
                               .mount_root = "/",
                               .own_path = "/user.slice"}};
  planned.plan = MakePlan(planned.spec, {.id = "c1", .bundle = "/bundle", .use_cgroups = wanted.cgroups}, host).value();
  if (wanted.manifest) {
    planned.policies.rootfs_manifest = policies::Document{.kind = "rootfs.manifest", .file = {}, .pinned = true};
  }
  if (!wanted.capabilities.empty()) {
    planned.policies.capabilities = policies::ParseCapabilityPolicy(wanted.capabilities, "caps.toml").value();
    planned.policies.documents.push_back(
        {.kind = "capabilities", .file = {.path = "caps.toml", .bytes = {}, .digest = {}}, .pinned = true});
  }
  PrepareProduction(planned.plan);
  return planned;
}

std::string Answer(const Case& wanted) {
  const Planned planned = Make(wanted);
  const Result<> checked = CheckProduction(planned.spec, planned.plan, planned.policies);
  return checked ? "fine" : checked.error().message;
}

std::string MountsAnswer(const std::string& mounts) {
  return Answer({.mounts = mounts});
}

std::string Mount(const std::string& target, const std::string& type, const std::string& source,
                  const std::string& options) {
  return R"({"destination": ")" + target + R"(", "type": ")" + type + R"(", "source": ")" + source +
         R"(", "options": [)" + options + "]}";
}

constexpr const char* kNeedsEither =
    " is both writable and executable: production mode needs \"ro\" or \"noexec\" in its options";
constexpr const char* kNeedsEitherBelow =
    " may be both writable and executable: production mode needs \"rro\" or \"rnoexec\" in its options";

}  // namespace

BOOST_AUTO_TEST_SUITE(plan_production)

BOOST_AUTO_TEST_CASE(the_least_that_is_fine) {
  BOOST_TEST(Answer({}) == "fine");
}

BOOST_AUTO_TEST_CASE(root) {
  BOOST_TEST(Answer({.readonly = false}) == "root.readonly: production mode needs a read-only root filesystem");
  BOOST_TEST(Answer({.manifest = false}) ==
             "annotations[\"dev.nucleus.rootfs.manifest\"]: production mode needs an attested root filesystem");
}

BOOST_AUTO_TEST_CASE(the_kernels_filesystems_need_no_word) {
  const std::string mounts = Mount("/proc", "proc", "proc", "") + "," + Mount("/sys", "sysfs", "sysfs", "") + "," +
                             Mount("/sys/fs/cgroup", "cgroup", "cgroup", "") + "," +
                             Mount("/dev/pts", "devpts", "devpts", "\"newinstance\"") + "," +
                             Mount("/dev/mqueue", "mqueue", "mqueue", "");
  BOOST_TEST(MountsAnswer(mounts) == "fine");
  const Plan plan = Make({.mounts = mounts}).plan;
  BOOST_TEST(plan.rootfs.hide_processes);
  BOOST_TEST(plan.rootfs.writable_or_executable);
  const auto& proc = std::get<FilesystemMount>(plan.rootfs.mounts[0]);
  BOOST_TEST((proc.options.set & MOUNT_ATTR_NOEXEC) != 0U);
  BOOST_REQUIRE(proc.options.parameters.size() == 1U);
  BOOST_TEST(proc.options.parameters[0].key == "hidepid");
  BOOST_TEST(proc.options.parameters[0].value == "2");
  BOOST_TEST(std::get<FilesystemMount>(plan.rootfs.mounts[1]).options.parameters.empty());
  BOOST_TEST(MountsAnswer(Mount("/proc", "proc", "proc", "\"exec\"")) ==
             std::string{"mounts[0]: /proc"} + kNeedsEither);
}

BOOST_AUTO_TEST_CASE(an_update_lifts_no_limit) {
  const auto answer = [](const std::function<void(oci::Resources&)>& change) {
    oci::Resources resources;
    change(resources);
    const Result<> checked = CheckProductionUpdate(resources);
    return checked ? std::string{"fine"} : checked.error().message;
  };
  BOOST_TEST(answer([](auto&) {}) == "fine");
  BOOST_TEST(answer([](auto& r) { r.memory.emplace().limit = 1 << 20; }) == "fine");
  BOOST_TEST(answer([](auto& r) { r.memory.emplace().swap = -1; }) == "fine");
  BOOST_TEST(answer([](auto& r) { r.pids_limit = 0; }) == "fine");
  BOOST_TEST(answer([](auto& r) { r.unified["pids.max"] = "7"; }) == "fine");
  BOOST_TEST(answer([](auto& r) { r.memory.emplace().limit = -1; }) ==
             "linux.resources.memory.limit: production mode needs a limit");
  BOOST_TEST(answer([](auto& r) { r.pids_limit = -1; }) == "linux.resources.pids.limit: production mode needs a limit");
  BOOST_TEST(answer([](auto& r) { r.unified["memory.max"] = "max"; }) ==
             "linux.resources.unified[\"memory.max\"]: production mode needs a limit");
}

BOOST_AUTO_TEST_CASE(hidden_processes) {
  const auto proc = [](const std::string& options) { return MountsAnswer(Mount("/proc", "proc", "proc", options)); };
  BOOST_TEST(proc("\"subset=pid\"") == "fine");
  BOOST_TEST(proc("\"hidepid=2\"") == "fine");
  BOOST_TEST(proc("\"hidepid=invisible,subset=pid\"") == "fine");
  BOOST_TEST(proc("\"hidepid=4\"") == "fine");
  BOOST_TEST(proc("\"hidepid=2\", \"hidepid=1\"") ==
             "mounts[0].options: hidepid=1: production mode hides processes (hidepid=2)");
  BOOST_TEST(proc("\"gid=5\"") == "mounts[0].options: gid=5: production mode shows processes to no group");
  const std::string fine = Mount("/proc", "proc", "proc", "") + ",";
  BOOST_TEST(MountsAnswer(fine + Mount("/proc", "", "", "\"remount\", \"hidepid=0\"")) ==
             "mounts[1].options: hidepid=0: production mode hides processes (hidepid=2)");
  BOOST_TEST(MountsAnswer(fine + Mount("/host", "bind", "/proc/1", "\"ro\"")) ==
             "mounts[1].source: /proc/1: production mode hides processes, and the host's procfs shows them");
  BOOST_TEST(MountsAnswer(Mount("/host", "bind", "/process", "\"ro\"")) == "fine");
  // A group of another filesystem.
  BOOST_TEST(MountsAnswer(Mount("/dev/pts", "devpts", "devpts", "\"gid=5\"")) == "fine");
}

BOOST_AUTO_TEST_CASE(writable_and_executable) {
  BOOST_TEST(MountsAnswer(Mount("/dev", "tmpfs", "tmpfs", "\"nosuid\"")) ==
             std::string{"mounts[0]: /dev"} + kNeedsEither);
  for (const char* word : {"\"ro\"", "\"noexec\"", "\"rro\"", "\"rnoexec\""}) {
    BOOST_TEST(MountsAnswer(Mount("/tmp", "tmpfs", "tmpfs", word)) == "fine");
    BOOST_TEST(MountsAnswer(Mount("/data", "bind", "/data", word)) == "fine");
  }
  BOOST_TEST(MountsAnswer(Mount("/data", "bind", "/data", "")) == std::string{"mounts[0]: /data"} + kNeedsEither);
  // The last word is the recursive one's, but of a bind mount.
  BOOST_TEST(MountsAnswer(Mount("/tmp", "tmpfs", "tmpfs", "\"rnoexec\", \"exec\"")) == "fine");
  BOOST_TEST(MountsAnswer(Mount("/tmp", "tmpfs", "tmpfs", "\"noexec\", \"rexec\"")) ==
             std::string{"mounts[0]: /tmp"} + kNeedsEither);
  BOOST_TEST(MountsAnswer(Mount("/data", "bind", "/data", "\"noexec\", \"rexec\"")) == "fine");
}

BOOST_AUTO_TEST_CASE(what_comes_with_a_recursive_bind) {
  BOOST_TEST(MountsAnswer(Mount("/data", "bind", "/data", "\"rbind\", \"ro\"")) ==
             std::string{"mounts[0]: what is mounted below /data"} + kNeedsEitherBelow);
  BOOST_TEST(MountsAnswer(Mount("/data", "bind", "/data", "\"rbind\", \"rnoexec\"")) == "fine");
  BOOST_TEST(MountsAnswer(Mount("/data", "bind", "/data", "\"rbind\", \"rro\", \"rw\"")) ==
             std::string{"mounts[0]: /data"} + kNeedsEither);
}

BOOST_AUTO_TEST_CASE(remounts) {
  const std::string read_only = Mount("/data", "bind", "/data", "\"ro\"") + ",";
  BOOST_TEST(MountsAnswer(read_only + Mount("/data", "", "", "\"remount\", \"bind\", \"rw\"")) ==
             std::string{"mounts[1]: /data"} + kNeedsEither);
  BOOST_TEST(MountsAnswer(read_only + Mount("/data", "", "", "\"remount\", \"bind\", \"rw\", \"noexec\"")) == "fine");
  BOOST_TEST(MountsAnswer(Mount("/data", "bind", "/data", "\"rw\"") + "," +
                          Mount("/data", "", "", "\"remount\", \"bind\", \"ro\"")) == "fine");
  BOOST_TEST(MountsAnswer(read_only + Mount("/other", "", "", "\"remount\", \"bind\", \"rw\"")) ==
             "mounts[1]: makes writable or executable what no mount before it names");
  BOOST_TEST(MountsAnswer(read_only + Mount("/other", "", "", "\"remount\", \"bind\", \"nosuid\"")) == "fine");
  // Recursively, on what is above.
  BOOST_TEST(MountsAnswer(Mount("/a", "tmpfs", "tmpfs", "\"noexec\"") + "," +
                          Mount("/a/b", "tmpfs", "tmpfs", "\"ro\"") + "," +
                          Mount("/a", "", "", "\"remount\", \"bind\", \"rrw\"")) ==
             std::string{"mounts[1]: /a/b"} + kNeedsEither);
}

BOOST_AUTO_TEST_CASE(memory_and_pids) {
  const std::string memory = "linux.resources.memory.limit: production mode needs one";
  const std::string pids = "linux.resources.pids.limit: production mode needs one";
  const auto limits = [](const std::string& resources) {
    return Answer({.mounts = {}, .limits = "\"resources\": {" + resources + "}"});
  };
  BOOST_TEST(limits("") == memory);
  BOOST_TEST(limits(R"("memory": {}, "pids": {"limit": 10})") == memory);
  BOOST_TEST(limits(R"("memory": {"limit": -1}, "pids": {"limit": 10})") == memory);
  BOOST_TEST(limits(R"("memory": {"limit": 4096})") == pids);
  BOOST_TEST(limits(R"("memory": {"limit": 4096}, "pids": {"limit": -1})") == pids);
  BOOST_TEST(limits(R"("memory": {"limit": 4096}, "pids": {"limit": 1}, "unified": {"memory.max": "max"})") ==
             "linux.resources.unified[\"memory.max\"]: production mode needs a limit");
  BOOST_TEST(limits(R"("memory": {"limit": 4096}, "pids": {"limit": 1}, "unified": {"pids.max": "5"})") == "fine");
  BOOST_TEST(Answer({.cgroups = false}) == "linux.resources: production mode needs limits, and cgroups are disabled");
}

BOOST_AUTO_TEST_CASE(capabilities_in_a_policy) {
  BOOST_TEST(Answer({.capabilities = "keep = [\"CAP_NET_BIND_SERVICE\"]"}) == "fine");
  for (const char* name : {"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE", "CAP_NET_ADMIN",
                           "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH", "CAP_MKNOD", "CAP_SYS_BOOT",
                           "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_SETPCAP"}) {
    for (const char* set : {"bounding", "effective", "permitted", "inheritable", "ambient"}) {
      const std::string policy = std::string{"["} + set + "]\nkeep = [\"CAP_KILL\", \"" + name + "\"]";
      BOOST_TEST(Answer({.capabilities = policy}) ==
                 std::string{"annotations[\"dev.nucleus.policy.capabilities\"]: caps.toml: "} + name +
                     ": production mode keeps it for no process");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
