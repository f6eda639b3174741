// From a Spec to a Plan: what is decided, and what is refused in which words.

#include "runtime/plan/plan.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "oci-config/parse.h"

namespace nucleus::plan {
namespace {

constexpr int kNewTime = 0x80;

Host TestHost() {
  Host host;
  host.capability_bounding = ~std::uint64_t{0};
  host.cgroups.hierarchies = {{.name = "",
                               .controllers = {"memory"},
                               .mount_point = "/sys/fs/cgroup",
                               .mount_root = "/",
                               .own_path = "/user.slice"}};
  return host;
}

Options TestOptions() {
  return {.id = "c1", .bundle = "/bundle"};
}

// A config with these members of `linux`, and more members of the whole.
std::string Json(const std::string& container, const std::string& more = "") {
  return R"({"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "linux": {)" + container + "}" +
         (more.empty() ? "" : ", " + more) + "}";
}
const std::string kMountNamespace = R"("namespaces": [{"type": "mount"}])";

oci::Spec Parsed(const std::string& json) {
  Result<oci::Spec> spec = oci::ParseSpec(json, "config.json");
  if (!spec) {
    throw std::runtime_error(spec.error().message);
  }
  return *std::move(spec);
}
// With the annotations that the bundle has.
Result<Plan> PlanOf(const std::string& json, Options options, const Host& host) {
  const oci::Spec spec = Parsed(json);
  options.annotations = oci::ParseAnnotations(spec.annotations).value();
  return MakePlan(spec, options, host);
}
Plan GoodWith(const std::string& json, const Options& options, const Host& host) {
  Result<Plan> plan = PlanOf(json, options, host);
  if (!plan) {
    throw std::runtime_error(plan.error().message);
  }
  return *std::move(plan);
}
Plan Good(const std::string& json) {
  return GoodWith(json, TestOptions(), TestHost());
}
std::string ErrorWith(const std::string& json, const Options& options, const Host& host) {
  const Result<Plan> plan = PlanOf(json, options, host);
  return plan ? "accepted" : plan.error().message;
}
std::string ErrorOf(const std::string& json) {
  return ErrorWith(json, TestOptions(), TestHost());
}
std::string Mounts(const std::string& mount) {
  return Json(kMountNamespace, "\"mounts\": [" + mount + "]");
}
std::string WithProcess(const std::string& members, const std::string& container = kMountNamespace) {
  return Json(container, R"("process": {"args": ["sh"], "cwd": "/", )" + members + "}");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plan_namespaces)

BOOST_AUTO_TEST_CASE(made_and_joined) {
  const Plan plan = Good(Json(R"("namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/x"},
      {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "user", "path": "/u"}, {"type": "cgroup"},
      {"type": "time"}])"));
  BOOST_TEST(plan.namespaces.create ==
             std::uint64_t{CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | kNewTime});
  BOOST_REQUIRE(plan.namespaces.join.size() == 2U);
  // The user namespace gives the right to join the other.
  BOOST_TEST(plan.namespaces.join[0].type == CLONE_NEWUSER);
  BOOST_TEST(plan.namespaces.join[0].path == "/u");
  BOOST_TEST(plan.namespaces.join[1].type == CLONE_NEWNET);
  BOOST_TEST(plan.namespaces.Has(CLONE_NEWNET));
  BOOST_TEST(!plan.namespaces.Creates(CLONE_NEWNET));
  BOOST_TEST(plan.namespaces.Creates(CLONE_NEWPID));
}

BOOST_AUTO_TEST_CASE(not_listed_is_inherited) {
  const Plan plan = Good(Json(""));
  BOOST_TEST(plan.namespaces.create == 0U);
  BOOST_TEST(plan.namespaces.join.empty());
}

BOOST_AUTO_TEST_CASE(names) {
  BOOST_TEST(NamespaceFlag(oci::NamespaceType::kTime) == kNewTime);
  BOOST_TEST(NamespaceFile(CLONE_NEWNS) == std::string{"mnt"});
  BOOST_TEST(NamespaceFile(CLONE_NEWNET) == std::string{"net"});
  BOOST_TEST(NamespaceFile(kNewTime) == std::string{"time"});
}

BOOST_AUTO_TEST_CASE(time_offsets) {
  const std::string offsets = R"("timeOffsets": {"boottime": {"secs": 5}})";
  BOOST_TEST(Good(Json(R"("namespaces": [{"type": "time"}], )" + offsets)).time_offsets.at("boottime").secs == 5);
  const std::string refused = "linux.timeOffsets: needs a new time namespace in linux.namespaces";
  BOOST_TEST(ErrorOf(Json(offsets)) == refused);
  BOOST_TEST(ErrorOf(Json(R"("namespaces": [{"type": "time", "path": "/t"}], )" + offsets)) == refused);
}

BOOST_AUTO_TEST_CASE(mappings) {
  const std::string uid = R"("uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}])";
  const std::string gid = R"("gidMappings": [{"containerID": 0, "hostID": 1001, "size": 1}])";
  const std::string made = R"("namespaces": [{"type": "user"}])";
  const std::string joined = R"("namespaces": [{"type": "user", "path": "/u"}])";
  const Plan plan = Good(Json(made + "," + uid + "," + gid));
  BOOST_TEST(plan.uid_mappings.at(0).host_id == 1000U);
  BOOST_TEST(plan.gid_mappings.at(0).host_id == 1001U);
  BOOST_TEST(ErrorOf(Json(made)) == "linux.uidMappings: needed for a new user namespace");
  BOOST_TEST(ErrorOf(Json(made + "," + gid)) == "linux.uidMappings: needed for a new user namespace");
  BOOST_TEST(ErrorOf(Json(made + "," + uid)) == "linux.gidMappings: needed for a new user namespace");
  BOOST_TEST(ErrorOf(Json(uid)) == "linux.uidMappings: id mappings need a user namespace in linux.namespaces");
  BOOST_TEST(ErrorOf(Json(gid)) == "linux.uidMappings: id mappings need a user namespace in linux.namespaces");
  // A namespace that is joined has its mappings already.
  BOOST_TEST(Good(Json(joined)).uid_mappings.empty());
  BOOST_TEST(Good(Json(joined + "," + uid + "," + gid)).uid_mappings.empty());
}

// An ordinary user may map itself alone, and has to give up setgroups for it; more takes the setuid helpers.
BOOST_AUTO_TEST_CASE(ordinary_users) {
  const auto config = [](const std::string& uids, const std::string& gids) {
    return R"("namespaces": [{"type": "user"}, {"type": "mount"}], "uidMappings": [)" + uids +
           R"(], "gidMappings": [)" + gids + "]";
  };
  const std::string uid = R"({"containerID": 0, "hostID": 1000, "size": 1})";
  const std::string gid = R"({"containerID": 0, "hostID": 2000, "size": 1})";
  const std::string range = R"({"containerID": 1, "hostID": 100000, "size": 65536})";
  const std::string other = R"({"containerID": 0, "hostID": 1001, "size": 1})";
  Host ordinary = TestHost();
  ordinary.euid = 1000;
  ordinary.egid = 2000;
  const auto plan = [&](const std::string& uids, const std::string& gids) {
    return GoodWith(Json(config(uids, gids)), TestOptions(), ordinary);
  };
  BOOST_TEST(plan(uid, gid).deny_setgroups);
  BOOST_TEST(!plan(uid, gid).uid_map_helper);
  BOOST_TEST(!plan(uid, gid).gid_map_helper);
  BOOST_TEST(plan(uid + "," + range, gid + "," + range).uid_map_helper);
  BOOST_TEST(plan(uid + "," + range, gid + "," + range).gid_map_helper);
  BOOST_TEST(!plan(uid + "," + range, gid + "," + range).deny_setgroups);
  BOOST_TEST(plan(other, gid).uid_map_helper);
  BOOST_TEST(plan(uid, other).gid_map_helper);
  BOOST_TEST(plan(uid, other).uid_map_helper == false);
  // root writes any map itself.
  const Plan as_root = Good(Json(config(uid + "," + range, gid + "," + range)));
  BOOST_TEST(!as_root.uid_map_helper);
  BOOST_TEST(!as_root.gid_map_helper);
  BOOST_TEST(!as_root.deny_setgroups);

  const auto with_groups = [&](const std::string& gids) {
    return WithProcess(R"("user": {"additionalGids": [5]})", config(uid, gids));
  };
  BOOST_TEST(ErrorWith(with_groups(gid), TestOptions(), ordinary) ==
             "process.user.additionalGids: a user namespace of an ordinary user denies setgroups");
  BOOST_TEST(ErrorWith(with_groups(gid + "," + range), TestOptions(), ordinary) == "accepted");
  BOOST_TEST(ErrorOf(with_groups(gid)) == "accepted");
  BOOST_TEST(!GoodWith(WithProcess(R"("user": {"uid": 0})", config(uid, gid)), TestOptions(), ordinary)
                  .confinement.set_groups);
  BOOST_TEST(ErrorWith(Json(kMountNamespace), TestOptions(), ordinary) ==
             "linux.namespaces: rootless container requires user namespaces");
}

BOOST_AUTO_TEST_CASE(host_names) {
  const std::string uts = R"("namespaces": [{"type": "uts"}])";
  BOOST_TEST(Good(Json(uts, R"("hostname": "h", "domainname": "d")")).hostname == "h");
  BOOST_TEST(Good(Json(uts, R"("hostname": "h", "domainname": "d")")).domainname == "d");
  BOOST_TEST(ErrorOf(Json(R"("namespaces": [{"type": "uts", "path": "/x"}])", R"("hostname": "h")")) == "accepted");
  BOOST_TEST(ErrorOf(Json("", R"("hostname": "h")")) == "hostname: needs a uts namespace in linux.namespaces");
  BOOST_TEST(ErrorOf(Json("", R"("domainname": "d")")) == "domainname: needs a uts namespace in linux.namespaces");
  BOOST_TEST(ErrorOf(Json("", R"("hostname": "")")) == "accepted");
}

BOOST_AUTO_TEST_CASE(sysctls) {
  const std::string all = R"("namespaces": [{"type": "network"}, {"type": "ipc"}, {"type": "uts"}], )";
  BOOST_TEST(
      Good(Json(all + R"("sysctl": {"net.ipv4.ip_forward": "1", "kernel/shmmax": "2", "kernel.domainname": "d"})"))
          .sysctl.size() == 3U);
  BOOST_TEST(ErrorOf(Json(all + R"("sysctl": {"kernel.core_pattern": "|x"})")) ==
             R"(linux.sysctl["kernel.core_pattern"]: is not in a separate kernel namespace)");
  BOOST_TEST(ErrorOf(Json(all + R"("sysctl": {"net.//.kernel.core_pattern": "|x"})")) ==
             R"(linux.sysctl["net.//.kernel.core_pattern"]: is not in a separate kernel namespace)");
  BOOST_TEST(ErrorOf(Json(R"("sysctl": {"net.ipv4.ip_forward": "1"})")) ==
             R"(linux.sysctl["net.ipv4.ip_forward"]: needs a net namespace in linux.namespaces)");
  BOOST_TEST(ErrorOf(Json(R"("sysctl": {"kernel.sem": "1"})")) ==
             R"(linux.sysctl["kernel.sem"]: needs a ipc namespace in linux.namespaces)");
  BOOST_TEST(ErrorOf(Json(R"("sysctl": {"kernel.domainname": "1"})")) ==
             R"(linux.sysctl["kernel.domainname"]: needs a uts namespace in linux.namespaces)");
  for (const std::string key : {"kernel.hostname", "kernel/hostname"}) {
    BOOST_TEST(ErrorOf(Json(all + "\"sysctl\": {\"" + key + "\": \"a\"}", R"("hostname": "b")")) ==
               "linux.sysctl[\"" + key + "\"]: conflicts with hostname");
    BOOST_TEST(ErrorOf(Json(all + "\"sysctl\": {\"" + key + "\": \"a\"}")) == "accepted");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_rootfs)

BOOST_AUTO_TEST_CASE(root) {
  BOOST_TEST(Good(Json("")).rootfs.path == "/bundle/rootfs");
  BOOST_TEST(!Good(Json("")).rootfs.readonly);
  BOOST_TEST(Good(Json("")).rootfs.pivot);
  const Plan plan = Good(R"({"ociVersion": "1.0.0", "root": {"path": "/r", "readonly": true},
      "linux": {"namespaces": [{"type": "mount"}], "maskedPaths": ["/m"], "readonlyPaths": ["/ro"]}})");
  BOOST_TEST(plan.rootfs.path == "/r");
  BOOST_TEST(plan.rootfs.readonly);
  BOOST_TEST(plan.rootfs.masked_paths.at(0) == "/m");
  BOOST_TEST(plan.rootfs.readonly_paths.at(0) == "/ro");
  Options options = TestOptions();
  options.no_pivot = true;
  BOOST_TEST(!GoodWith(Json(""), options, TestHost()).rootfs.pivot);
}

BOOST_AUTO_TEST_CASE(propagation) {
  struct Row {
    const char* word;
    std::uint64_t host;
    std::uint64_t root;
  };
  static constexpr Row kRows[] = {{"shared", 0, MS_SHARED},
                                  {"slave", MS_SLAVE, MS_SLAVE},
                                  {"private", MS_PRIVATE, MS_PRIVATE},
                                  {"unbindable", MS_PRIVATE, MS_UNBINDABLE}};
  for (const Row& row : kRows) {
    const Plan plan = Good(Json(kMountNamespace + ", \"rootfsPropagation\": \"" + row.word + "\""));
    BOOST_TEST(plan.rootfs.host_propagation == row.host);
    BOOST_TEST(plan.rootfs.root_propagation == row.root);
  }
  // Unset: nothing made inside reaches the host.
  BOOST_TEST(Good(Json(kMountNamespace)).rootfs.host_propagation == std::uint64_t{MS_SLAVE});
  BOOST_TEST(Good(Json(kMountNamespace)).rootfs.root_propagation == 0U);
}

BOOST_AUTO_TEST_CASE(kinds_of_mounts) {
  const auto one = [](const std::string& mount) { return Good(Mounts(mount)).rootfs.mounts.at(0); };
  const MountStep proc = one(R"({"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]})");
  BOOST_TEST(std::get<FilesystemMount>(proc).type == "proc");
  BOOST_TEST(std::get<FilesystemMount>(proc).source == "proc");
  BOOST_TEST(std::get<FilesystemMount>(proc).options.set == std::uint64_t{MOUNT_ATTR_NOSUID});
  const MountStep bind = one(R"({"destination": "/d", "type": "none", "source": "/srv", "options": ["bind", "ro"]})");
  BOOST_TEST(std::get<BindMount>(bind).source == "/srv");
  BOOST_TEST(!std::get<BindMount>(bind).recursive);
  const MountStep rbind = one(R"({"destination": "/d", "source": "data/x", "options": ["rbind"]})");
  BOOST_TEST(std::get<BindMount>(rbind).source == "/bundle/data/x");
  BOOST_TEST(std::get<BindMount>(rbind).recursive);
  const MountStep typed = one(R"({"destination": "/d", "type": "bind", "source": "/srv"})");
  BOOST_TEST(std::get<BindMount>(typed).source == "/srv");
  // The type says nothing of a bind mount.
  const MountStep odd = one(R"({"destination": "/d", "type": "tmpfs", "source": "/srv", "options": ["bind"]})");
  BOOST_TEST(std::get<BindMount>(odd).source == "/srv");
  BOOST_TEST(std::holds_alternative<CgroupMount>(one(R"({"destination": "/sys/fs/cgroup", "type": "cgroup"})")));
  BOOST_TEST(std::holds_alternative<CgroupMount>(one(R"({"destination": "/sys/fs/cgroup", "type": "cgroup2"})")));
  BOOST_TEST(std::holds_alternative<Remount>(one(R"({"destination": "/x", "options": ["remount", "ro"]})")));
}

BOOST_AUTO_TEST_CASE(order_and_targets) {
  const Plan plan = Good(Mounts(R"({"destination": "/b//./c/", "type": "tmpfs"}, {"destination": "a", "type": "tmpfs"},
      {"destination": "/x/../y", "type": "tmpfs"}, {"destination": "/b/c", "type": "tmpfs"})"));
  std::vector<std::string> targets;
  for (const MountStep& step : plan.rootfs.mounts) {
    targets.push_back(std::get<FilesystemMount>(step).target);
  }
  // ".." is the resolver's to follow, inside the root.
  BOOST_TEST(targets == (std::vector<std::string>{"/b/c", "/a", "/x/../y", "/b/c"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(refused_mounts) {
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "/a", "type": "tmpfs"}, {"destination": "/", "type": "tmpfs"})")) ==
             "mounts[1].destination: the root itself is not a mount destination");
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "//./", "type": "tmpfs"})")) ==
             "mounts[0].destination: the root itself is not a mount destination");
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "/a"})")) ==
             "mounts[0].type: needed for a mount that is not a bind mount");
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "/a", "type": "none"})")) ==
             "mounts[0].type: needed for a mount that is not a bind mount");
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "/a", "options": ["bind"]})")) ==
             "mounts[0].source: needed for a bind mount");
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "/a", "source": "/s", "options": ["bind", "tmpcopyup"]})")) ==
             "mounts[0].options: tmpcopyup is for a tmpfs");
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "/a", "type": "proc", "options": ["tmpcopyup"]})")) ==
             "mounts[0].options: tmpcopyup is for a tmpfs");
  BOOST_TEST(ErrorOf(Mounts(R"({"destination": "/a", "type": "tmpfs", "options": ["tmpcopyup"]})")) == "accepted");
}

BOOST_AUTO_TEST_CASE(id_mappings_of_mounts) {
  const std::string mappings = R"("uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}],
      "gidMappings": [{"containerID": 0, "hostID": 6, "size": 1}])";
  const auto mount = [](const std::string& more) { return R"({"destination": "/d", "source": "/s", )" + more + "}"; };
  const Plan own = Good(Mounts(mount(R"("options": ["bind"], )" + mappings)));
  const auto& bind = std::get<BindMount>(own.rootfs.mounts.at(0));
  BOOST_TEST(bind.idmap);
  BOOST_TEST(!bind.recursive_idmap);
  BOOST_TEST(bind.uid_mappings.at(0).host_id == 5U);
  BOOST_TEST(bind.gid_mappings.at(0).host_id == 6U);
  const Plan recursive = Good(Mounts(mount(R"("options": ["rbind", "ridmap"], )" + mappings)));
  BOOST_TEST(std::get<BindMount>(recursive.rootfs.mounts.at(0)).recursive_idmap);
  // Without mappings of its own the mount takes those of the user namespace, which then there must be.
  BOOST_TEST(ErrorOf(Mounts(mount(R"("options": ["bind", "idmap"])"))) ==
             "mounts[0].options: idmap needs uidMappings and gidMappings, or a user namespace");
  const Plan joined = Good(Json(R"("namespaces": [{"type": "mount"}, {"type": "user", "path": "/u"}])",
                                "\"mounts\": [" + mount(R"("options": ["bind", "idmap"])") + "]"));
  BOOST_TEST(std::get<BindMount>(joined.rootfs.mounts.at(0)).idmap);
  BOOST_TEST(ErrorOf(Mounts(mount(R"("type": "tmpfs", "options": ["idmap"])"))) ==
             "mounts[0]: id mappings are for bind mounts");
  BOOST_TEST(ErrorOf(Mounts(mount(R"("type": "tmpfs", )" + mappings))) == "mounts[0]: id mappings are for bind mounts");
}

// The host's cgroups lie below its /sys: an ordinary user's container must not write to them.
BOOST_AUTO_TEST_CASE(sys_of_the_host_is_read_only_with_all_below) {
  const std::string sys = R"("mounts": [{"destination": "/sys", "source": "/sys/./", "options": ["rbind", "ro"]}])";
  const std::string container = R"("namespaces": [{"type": "mount"}, {"type": "user", "path": "/u"}])";
  const auto recursive_set = [&](const Host& host) {
    return std::get<BindMount>(GoodWith(Json(container, sys), TestOptions(), host).rootfs.mounts.at(0))
        .options.recursive_set;
  };
  Host ordinary = TestHost();
  ordinary.euid = 1000;
  Host inner = TestHost();
  inner.in_initial_user_namespace = false;
  BOOST_TEST(recursive_set(ordinary) == std::uint64_t{MOUNT_ATTR_RDONLY});
  BOOST_TEST(recursive_set(inner) == std::uint64_t{MOUNT_ATTR_RDONLY});
  BOOST_TEST(recursive_set(TestHost()) == 0U);
}

BOOST_AUTO_TEST_CASE(a_mount_namespace_is_needed) {
  const std::string refused =
      "linux.namespaces: a mount namespace is needed for mounts, root.readonly, maskedPaths and readonlyPaths";
  BOOST_TEST(ErrorOf(Json("", R"("mounts": [{"destination": "/a", "type": "tmpfs"}])")) == refused);
  BOOST_TEST(ErrorOf(Json(R"("maskedPaths": ["/a"])")) == refused);
  BOOST_TEST(ErrorOf(Json(R"("readonlyPaths": ["/a"])")) == refused);
  BOOST_TEST(ErrorOf(R"({"ociVersion": "1.0.0", "root": {"path": "r", "readonly": true}})") == refused);
  const Plan plan = Good(Json(""));
  BOOST_TEST(!plan.rootfs.populate_dev);
  BOOST_TEST(plan.rootfs.devices.empty());
}

BOOST_AUTO_TEST_CASE(default_devices) {
  const Plan plan = Good(Json(kMountNamespace));
  BOOST_TEST(plan.rootfs.populate_dev);
  const auto has = [&plan](const std::string& path, dev_t number) {
    return std::any_of(plan.rootfs.devices.begin(), plan.rootfs.devices.end(), [&](const DeviceNode& node) {
      return node.path == path && node.number == number && node.type == 'c' && node.mode == 0666 && node.uid == 0;
    });
  };
  BOOST_TEST(plan.rootfs.devices.size() == 6U);
  BOOST_TEST(has("/dev/null", makedev(1, 3)));
  BOOST_TEST(has("/dev/zero", makedev(1, 5)));
  BOOST_TEST(has("/dev/full", makedev(1, 7)));
  BOOST_TEST(has("/dev/random", makedev(1, 8)));
  BOOST_TEST(has("/dev/urandom", makedev(1, 9)));
  BOOST_TEST(has("/dev/tty", makedev(5, 0)));
}

BOOST_AUTO_TEST_CASE(listed_devices) {
  const Plan plan = Good(Json(kMountNamespace + R"(, "devices": [
      {"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 384, "uid": 7, "gid": 8},
      {"type": "u", "path": "/dev//fuse", "major": 10, "minor": 229, "fileMode": 8630},
      {"type": "b", "path": "/x/sda", "major": 4095, "minor": 1048575},
      {"type": "p", "path": "/fifo", "major": 9, "minor": 9}])"));
  // The listed one stands for the default of the same path.
  BOOST_REQUIRE(plan.rootfs.devices.size() == 9U);
  const DeviceNode& null = plan.rootfs.devices[5];
  BOOST_TEST(null.path == "/dev/null");
  BOOST_TEST(null.mode == 0600U);
  BOOST_TEST(null.uid == 7U);
  BOOST_TEST(null.gid == 8U);
  const DeviceNode& fuse = plan.rootfs.devices[6];
  BOOST_TEST(fuse.path == "/dev/fuse");
  BOOST_TEST(fuse.type == 'c');
  // Type bits in the mode, as st_mode has them, are left out.
  BOOST_TEST(fuse.mode == 0666U);
  const DeviceNode& disk = plan.rootfs.devices[7];
  BOOST_TEST(disk.number == makedev(4095, 1048575));
  BOOST_TEST(disk.mode == 0666U);
  BOOST_TEST(plan.rootfs.devices[8].type == 'p');
  BOOST_TEST(plan.rootfs.devices[8].number == 0U);
}

BOOST_AUTO_TEST_CASE(a_bound_dev_is_left_alone) {
  const Plan plan = Good(Mounts(R"({"destination": "/dev/", "source": "/dev", "options": ["rbind"]})"));
  BOOST_TEST(!plan.rootfs.populate_dev);
  BOOST_TEST(plan.rootfs.devices.empty());
  BOOST_TEST(Good(Mounts(R"({"destination": "/dev", "type": "tmpfs"})")).rootfs.populate_dev);
  BOOST_TEST(Good(Mounts(R"({"destination": "/dev/shm", "source": "/x", "options": ["bind"]})")).rootfs.populate_dev);
}

BOOST_AUTO_TEST_CASE(devices_are_bound_in_a_user_namespace) {
  BOOST_TEST(!Good(Json(kMountNamespace)).rootfs.bind_devices);
  BOOST_TEST(Good(Json(R"("namespaces": [{"type": "mount"}, {"type": "user", "path": "/u"}])")).rootfs.bind_devices);
  Host inner = TestHost();
  inner.in_initial_user_namespace = false;
  BOOST_TEST(GoodWith(Json(kMountNamespace), TestOptions(), inner).rootfs.bind_devices);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_process)

BOOST_AUTO_TEST_CASE(absent) {
  const Plan plan = Good(Json(""));
  BOOST_TEST(!plan.process.has_value());
}

BOOST_AUTO_TEST_CASE(confinement) {
  const Plan plan = Good(WithProcess(R"("user": {"uid": 5, "gid": 6, "umask": 63, "additionalGids": [7]},
      "noNewPrivileges": true, "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}],
      "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_KILL"]})"));
  BOOST_TEST(plan.confinement.uid == 5U);
  BOOST_TEST(plan.confinement.gid == 6U);
  BOOST_TEST(plan.confinement.umask == 077U);
  BOOST_TEST(plan.confinement.additional_gids.at(0) == 7U);
  BOOST_TEST(plan.confinement.no_new_privileges);
  BOOST_TEST(plan.confinement.rlimits.at(0).hard == 2U);
  BOOST_TEST(plan.confinement.capabilities.bounding == ((1U << 0) | (1U << 5)));
  BOOST_TEST(plan.confinement.capabilities.effective == (1U << 5));
  BOOST_TEST(plan.confinement.capabilities.permitted == 0U);
  BOOST_TEST(!plan.confinement.has_seccomp);
  BOOST_TEST(plan.confinement.set_groups);
  BOOST_TEST(plan.confinement.session_keyring == "_ses.c1");
}

BOOST_AUTO_TEST_CASE(defaults) {
  const Plan plan = Good(WithProcess(R"("user": {})"));
  BOOST_TEST(plan.confinement.umask == 022U);
  BOOST_TEST(!plan.confinement.no_new_privileges);
  BOOST_TEST(plan.confinement.capabilities.bounding == 0U);
  Options options = TestOptions();
  options.no_new_keyring = true;
  BOOST_TEST(GoodWith(WithProcess(R"("user": {})"), options, TestHost()).confinement.session_keyring.empty());
}

BOOST_AUTO_TEST_CASE(seccomp) {
  const auto plan_with = [](const std::string& action) {
    return Good(
        WithProcess(R"("user": {})",
                    R"("seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/l", "listenerMetadata": "m",)"
                    R"( "syscalls": [{"names": ["chdir"], "action": ")" +
                        action + R"("}]})"));
  };
  const Plan notifies = plan_with("SCMP_ACT_NOTIFY");
  BOOST_TEST(notifies.confinement.has_seccomp);
  BOOST_TEST(notifies.confinement.seccomp_listener_path == "/l");
  BOOST_TEST(notifies.confinement.seccomp_listener_metadata == "m");
  BOOST_TEST(notifies.seccomp.has_value());
  // Without a rule that notifies there is nothing to tell an agent.
  const Plan refuses = plan_with("SCMP_ACT_ERRNO");
  BOOST_TEST(refuses.confinement.has_seccomp);
  BOOST_TEST(refuses.confinement.seccomp_listener_path.empty());
}

// Asked for and not carried out yet is an error by name, never silence. As each becomes supported its row goes.
BOOST_AUTO_TEST_CASE(what_cannot_be_honoured_is_refused_or_planned) {
  const auto refused_by_name = [](const std::string& json, const std::string& property) {
    const std::string error = ErrorOf(json);
    return error == "accepted" || error.starts_with(property + ": ");
  };
  BOOST_TEST(refused_by_name(WithProcess(R"("apparmorProfile": "x")"), "process.apparmorProfile"));
  BOOST_TEST(refused_by_name(WithProcess(R"("selinuxLabel": "x")"), "process.selinuxLabel"));
  BOOST_TEST(refused_by_name(Json(R"("memoryPolicy": {"mode": "MPOL_BIND"})"), "linux.memoryPolicy"));
  BOOST_TEST(refused_by_name(Json(R"("mountLabel": "x")"), "linux.mountLabel"));
  // What means nothing is accepted.
  BOOST_TEST(ErrorOf(WithProcess(R"("apparmorProfile": "", "selinuxLabel": "")")) == "accepted");
  BOOST_TEST(ErrorOf(Json(R"("mountLabel": "", "netDevices": {})")) == "accepted");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_mappings)

BOOST_AUTO_TEST_CASE(the_root_of_a_user_namespace_is_mapped) {
  const auto error = [](const std::string& uids, const std::string& gids) {
    return ErrorOf(
        Json(R"("namespaces": [{"type": "user"}], "uidMappings": [)" + uids + R"(], "gidMappings": [)" + gids + "]"));
  };
  const std::string root = R"({"containerID": 0, "hostID": 9, "size": 1})";
  const std::string other = R"({"containerID": 1, "hostID": 10, "size": 5})";
  BOOST_TEST(error(root, root) == "accepted");
  BOOST_TEST(error(other + ", " + root, root) == "accepted");
  BOOST_TEST(error(other, root) == "linux.uidMappings: no mapping for the id 0 of the container");
  BOOST_TEST(error(root, other) == "linux.gidMappings: no mapping for the id 0 of the container");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_notify)

BOOST_AUTO_TEST_CASE(socket_of_a_service) {
  Options options = TestOptions();
  const std::string process =
      R"("process": {"args": ["sh"], "cwd": "/", "env": ["A=b", "NOTIFY_SOCKET=/x", "NOTIFY_SOCKETS=y"]})";
  const Plan without = GoodWith(Json(kMountNamespace, process), options, TestHost());
  BOOST_TEST(!without.notify);
  BOOST_TEST(without.rootfs.mounts.empty());
  BOOST_TEST(without.process->env.size() == 3U);

  options.notify_directory = "/run/nucleus/c1/notify";
  const Plan plan = GoodWith(Json(kMountNamespace, process), options, TestHost());
  BOOST_TEST(plan.notify);
  BOOST_REQUIRE(plan.rootfs.mounts.size() == 1U);
  const auto& mount = std::get<BindMount>(plan.rootfs.mounts[0]);
  BOOST_TEST(mount.source == options.notify_directory);
  BOOST_TEST(mount.target == "/run/notify");
  BOOST_TEST(!mount.recursive);
  BOOST_TEST(!mount.private_source);
  BOOST_TEST(mount.options.set ==
             std::uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC});
  const std::vector<std::string> env = {"A=b", "NOTIFY_SOCKETS=y", "NOTIFY_SOCKET=/run/notify/notify.sock"};
  BOOST_TEST(plan.process->env == env, boost::test_tools::per_element());

  // Where the container's user is not the host's root, the directory is out of its reach.
  const std::string user =
      R"("namespaces": [{"type": "mount"}, {"type": "user"}], "uidMappings": [{"hostID": 1, "size": 1}],
         "gidMappings": [{"hostID": 1, "size": 1}])";
  BOOST_TEST(std::get<BindMount>(GoodWith(Json(user, process), options, TestHost()).rootfs.mounts[0]).private_source);
  // Nobody to say anything, or no place to put it.
  BOOST_TEST(!GoodWith(Json(kMountNamespace), options, TestHost()).notify);
  const Plan nowhere = GoodWith(Json("", process), options, TestHost());
  BOOST_TEST(!nowhere.notify);
  BOOST_TEST(nowhere.warnings.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_init)

std::string WithInit(const std::string& value, const std::string& namespaces) {
  return Json("\"namespaces\": [" + namespaces + "]", R"("annotations": {"dev.nucleus.init": ")" + value + "\"}");
}

BOOST_AUTO_TEST_CASE(only_where_it_is_asked_for) {
  const std::string pid = R"({"type": "pid"})";
  BOOST_TEST(!Good(Json(R"("namespaces": [{"type": "pid"}])")).init);
  BOOST_TEST(!Good(WithInit("off", pid)).init);
  BOOST_TEST(Good(WithInit("on", pid)).init);
}

BOOST_AUTO_TEST_CASE(only_in_a_new_pid_namespace) {
  const std::string error = R"(annotations["dev.nucleus.init"]: needs a new pid namespace in linux.namespaces)";
  BOOST_TEST(ErrorOf(WithInit("on", "")) == error);
  BOOST_TEST(ErrorOf(WithInit("on", R"({"type": "pid", "path": "/proc/1/ns/pid"})")) == error);
  BOOST_TEST(!Good(WithInit("off", "")).init);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_rootfs_mode)

std::string WithMode(const std::string& mode, const std::string& linux_) {
  return Json(linux_, R"("annotations": {"dev.nucleus.rootfs.mode": ")" + mode + "\"}");
}

BOOST_AUTO_TEST_CASE(its_size_is_the_memory_limit) {
  BOOST_TEST((Good(WithMode("bind", kMountNamespace)).rootfs.mode == oci::RootfsMode::kBind));
  const Plan copy = Good(WithMode("copy", kMountNamespace));
  BOOST_TEST((copy.rootfs.mode == oci::RootfsMode::kCopy));
  BOOST_TEST(copy.rootfs.tmpfs_size == 0U);
  const Plan limited = Good(WithMode("overlay", kMountNamespace + R"(, "resources": {"memory": {"limit": 4096}})"));
  BOOST_TEST((limited.rootfs.mode == oci::RootfsMode::kOverlay));
  BOOST_TEST(limited.rootfs.tmpfs_size == 4096U);
  BOOST_TEST(
      Good(WithMode("copy", kMountNamespace + R"(, "resources": {"memory": {"limit": -1}})")).rootfs.tmpfs_size == 0U);
}

BOOST_AUTO_TEST_CASE(needs_a_mount_namespace) {
  BOOST_TEST(ErrorOf(WithMode("copy", R"("namespaces": [])")) ==
             R"(annotations["dev.nucleus.rootfs.mode"]: needs a mount namespace in linux.namespaces)");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_lockdown)

BOOST_AUTO_TEST_CASE(what_is_required_is_in_force) {
  const auto answer = [](const std::string& required, const std::string& found) {
    Host host = TestHost();
    host.lockdown = found;
    return ErrorWith(Json(kMountNamespace, R"("annotations": {"dev.nucleus.require.lockdown": ")" + required + "\"}"),
                     TestOptions(), host);
  };
  const std::string error = R"(annotations["dev.nucleus.require.lockdown"]: )";
  BOOST_TEST(answer("integrity", "integrity") == "accepted");
  BOOST_TEST(answer("integrity", "confidentiality") == "accepted");
  BOOST_TEST(answer("confidentiality", "confidentiality") == "accepted");
  BOOST_TEST(answer("integrity", "none") == error + "integrity is required, and the kernel's lockdown is none");
  BOOST_TEST(answer("confidentiality", "integrity") ==
             error + "confidentiality is required, and the kernel's lockdown is integrity");
  BOOST_TEST(answer("integrity", "") ==
             error + "integrity is required, and the kernel's lockdown is not known: no /sys/kernel/security/lockdown");
  BOOST_TEST(answer("integrity", "more") == error + "integrity is required, and the kernel's lockdown is more");
  BOOST_TEST(ErrorWith(Json(kMountNamespace), TestOptions(), TestHost()) == "accepted");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_net_devices)

namespace {
std::string Devices(const std::string& members, const std::string& network = R"({"type": "network"})") {
  return Json(R"("namespaces": [)" + network + R"(], "netDevices": {)" + members + "}");
}
}  // namespace

BOOST_AUTO_TEST_CASE(names_and_order) {
  const Plan plan =
      Good(Devices(R"("a0": {"name": "eth%d"}, "a1": {}, "a2": {"name": "eth0"}, "a3": {"name": "eth%d"})"));
  std::vector<std::string> moves;
  for (const NetDevice& device : plan.net_devices) {
    moves.push_back(device.host_name + ">" + device.name);
  }
  const std::vector<std::string> wanted = {"a1>a1", "a2>eth0", "a0>eth%d", "a3>eth%d"};
  BOOST_TEST(moves == wanted, boost::test_tools::per_element());
  BOOST_TEST(Good(Devices("")).net_devices.empty());
  // A namespace that is joined will do, and fifteen letters are a name.
  BOOST_TEST(Good(Devices(R"("abcdefghijklmno": {})", R"({"type": "network", "path": "/n"})")).net_devices.size() ==
             1U);
}

BOOST_AUTO_TEST_CASE(what_is_no_name) {
  for (const char* name :
       {"abcdefghijklmnop", "a/b", "a:b", "a b", "a\\tb", ".", "..", "%d%d", "a%d0", "%", "a%", "%s", "lo"}) {
    const std::string error = ErrorOf(Devices(R"("a0": {"name": ")" + std::string{name} + R"("})"));
    BOOST_TEST(error.starts_with(R"(linux.netDevices["a0"].name: )"), name << ": " << error);
  }
  for (const char* name : {"", "abcdefghijklmnop", "a/b", "eth%d", ".."}) {
    const std::string error = ErrorOf(Devices("\"" + std::string{name} + R"(": {"name": "x"})"));
    BOOST_TEST(error.starts_with("linux.netDevices[\"" + std::string{name} + "\"]: not the name"), error);
  }
}

BOOST_AUTO_TEST_CASE(collisions) {
  const std::string error = R"(linux.netDevices: two devices with the name "x")";
  BOOST_TEST(ErrorOf(Devices(R"("a0": {"name": "x"}, "a1": {"name": "x"})")) == error);
  BOOST_TEST(ErrorOf(Devices(R"("a0": {"name": "x"}, "x": {})")) == error);
  BOOST_TEST(ErrorOf(Devices(R"("a0": {"name": "x%d"}, "a1": {"name": "x%d"})")) == "accepted");
}

BOOST_AUTO_TEST_CASE(whose_they_are) {
  BOOST_TEST(ErrorOf(Devices(R"("a0": {})", R"({"type": "uts"})")) ==
             "linux.netDevices: needs a network namespace in linux.namespaces");
  Host nested = TestHost();
  nested.in_initial_user_namespace = false;
  BOOST_TEST(ErrorWith(Devices(R"("a0": {})"), TestOptions(), nested) ==
             "linux.netDevices: the host's network devices are for its root alone");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_cgroups)

BOOST_AUTO_TEST_CASE(place_and_limits) {
  const Plan plan = Good(Json(R"("cgroupsPath": "/a/b", "resources": {"pids": {"limit": 3}})"));
  BOOST_REQUIRE(plan.cgroups.size() == 1U);
  BOOST_TEST(plan.cgroups[0].path == "/sys/fs/cgroup/a/b");
  BOOST_TEST(!plan.cgroups[0].created);
  BOOST_TEST(*plan.resources.pids_limit == 3);
  Options options = TestOptions();
  options.use_cgroups = false;
  BOOST_TEST(GoodWith(Json(R"("cgroupsPath": "/a/b")"), options, TestHost()).cgroups.empty());
  BOOST_TEST(ErrorOf(Json(R"("cgroupsPath": "/")")) == "linux.cgroupsPath: the root cgroup is not a container's");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plan_capabilities)

BOOST_AUTO_TEST_CASE(names_to_bits) {
  oci::Capabilities names;
  names.bounding = {"CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"};
  names.effective = {"CAP_SYS_ADMIN"};
  names.permitted = {"CAP_SYS_ADMIN", "CAP_KILL"};
  names.inheritable = {"CAP_KILL", "CAP_CHOWN"};
  names.ambient = {"CAP_KILL", "CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_SETUID"};
  std::vector<std::string> warnings;
  const confine::CapabilitySets sets = confine::PlanCapabilities(names, ~std::uint64_t{0}, warnings);
  BOOST_TEST(sets.bounding == ((std::uint64_t{1} << 0) | (std::uint64_t{1} << 21) | (std::uint64_t{1} << 40)));
  BOOST_TEST(sets.effective == std::uint64_t{1} << 21);
  BOOST_TEST(sets.permitted == ((std::uint64_t{1} << 21) | (std::uint64_t{1} << 5)));
  BOOST_TEST(sets.inheritable == ((std::uint64_t{1} << 5) | (std::uint64_t{1} << 0)));
  // Only where it is permitted and inheritable too: the kernel refuses any other.
  BOOST_TEST(sets.ambient == std::uint64_t{1} << 5);
  BOOST_TEST(warnings.empty());
}

BOOST_AUTO_TEST_CASE(unknown_and_missing_ones_are_warnings) {
  oci::Capabilities names;
  names.bounding = {"CAP_CHOWN", "CAP_UNHEARD_OF", "CAP_NET_RAW", "", "63", "CAP_"};
  names.effective = {"CAP_UNHEARD_OF", "CAP_NET_RAW"};
  std::vector<std::string> warnings;
  const confine::CapabilitySets sets = confine::PlanCapabilities(names, 1, warnings);
  BOOST_TEST(sets.bounding == 1U);
  BOOST_TEST(sets.effective == 0U);
  // Once for each name.
  BOOST_REQUIRE(warnings.size() == 5U);
  BOOST_TEST(warnings[0] == "capability CAP_UNHEARD_OF is unknown: it is left out");
  BOOST_TEST(warnings[1] == "capability CAP_NET_RAW cannot be granted here: it is left out");
}

BOOST_AUTO_TEST_CASE(absent_means_none) {
  std::vector<std::string> warnings;
  const confine::CapabilitySets sets = confine::PlanCapabilities(std::nullopt, ~std::uint64_t{0}, warnings);
  BOOST_TEST((sets.bounding | sets.effective | sets.permitted | sets.inheritable | sets.ambient) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
