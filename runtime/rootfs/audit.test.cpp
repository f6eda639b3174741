// What the mount audit finds, in lists of mounts that are written down here. That a real container's mounts pass it,
// and what does not, is in conformance/test_audit.py.

#include "runtime/rootfs/audit.h"

#include <sys/mount.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace nucleus::rootfs {
namespace {

constexpr std::uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// A container with a root (1), /proc (2), /data bound recursively with a submount (3, 4), /proc/sys read-only (5),
// /proc/acpi masked (6), /dev/null bound (7).
struct Container {
  plan::Rootfs plan;
  Ledger ledger;
  Found found;

  Container() {
    plan.readonly = true;
    ledger.entries = {
        {.id = 1, .path = "/", .set = MOUNT_ATTR_RDONLY},
        {.id = 2, .path = "/proc", .set = kQuiet},
        {.id = 3, .path = "/data", .set = MOUNT_ATTR_NODEV, .recursive = true, .set_below = MOUNT_ATTR_NOSUID},
        {.what = Placed::kReadonly,
         .id = 5,
         .path = "/proc/sys",
         .set = MOUNT_ATTR_RDONLY,
         .recursive = true,
         .set_below = MOUNT_ATTR_RDONLY},
        {.what = Placed::kMask, .id = 6, .path = "/proc/acpi", .set = kQuiet | MOUNT_ATTR_RDONLY},
        {.what = Placed::kNode, .id = 7, .path = "/dev/null"},
    };
    Add(1, 0, "/", MOUNT_ATTR_RDONLY, "ext4");
    Add(2, 1, "/proc", kQuiet, "proc");
    Add(3, 1, "/data", MOUNT_ATTR_NODEV, "ext4");
    Add(4, 3, "/data/below", MOUNT_ATTR_NOSUID, "tmpfs");
    Add(5, 2, "/proc/sys", kQuiet | MOUNT_ATTR_RDONLY, "proc");
    Add(6, 2, "/proc/acpi", kQuiet | MOUNT_ATTR_RDONLY, "tmpfs");
    Add(7, 1, "/dev/null", MOUNT_ATTR_NOSUID, "devtmpfs");
    found.masked = {{.path = "/proc/acpi", .mount = 6}};
    found.readonly = {{.path = "/proc/sys", .mount = 5}};
  }

  void Add(std::uint64_t id, std::uint64_t parent, const std::string& point, std::uint64_t flags,
           const std::string& type) {
    found.mounts.push_back(
        {.id = id, .parent = parent, .point = point, .flags = flags, .type = type, .super_options = "rw"});
  }
  MountInfo& At(std::uint64_t id) {
    return *std::ranges::find(found.mounts, id, &MountInfo::id);
  }
  void Change(std::uint64_t id, std::uint64_t set, std::uint64_t clear, std::uint64_t set_below,
              std::uint64_t clear_below) {
    ledger.entries.push_back({.changed = true,
                              .id = id,
                              .path = "x",
                              .set = set,
                              .clear = clear,
                              .recursive = true,
                              .set_below = set_below,
                              .clear_below = clear_below});
  }
  [[nodiscard]] std::string Findings() const {
    std::string lines;
    for (const std::string& finding : CompareMounts(plan, ledger, found)) {
      lines += finding + "\n";
    }
    return lines;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(rootfs_audit, Container)

BOOST_AUTO_TEST_CASE(all_as_planned) {
  BOOST_TEST(Findings().empty());
  At(2).flags |= MOUNT_ATTR_RDONLY;  // more is no harm
  BOOST_TEST(Findings().empty());
}

BOOST_AUTO_TEST_CASE(each_flag_is_missed) {
  At(2).flags = MOUNT_ATTR_NODEV;
  BOOST_TEST(Findings() == "/proc: not nosuid\n/proc: not noexec\n");
  At(2).flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  BOOST_TEST(Findings() == "/proc: not nodev\n");
  At(2).flags = kQuiet;
  At(1).flags = 0;
  BOOST_TEST(Findings() == "/: not ro\n");
}

BOOST_AUTO_TEST_CASE(a_planned_mount_is_missed) {
  std::erase_if(found.mounts, [](const MountInfo& mount) { return mount.id == 3 || mount.id == 4; });
  BOOST_TEST(Findings() == "/data: not mounted\n");
}

BOOST_AUTO_TEST_CASE(what_nobody_planned) {
  Add(8, 1, "/other", kQuiet, "tmpfs");
  Add(9, 8, "/other/below", kQuiet, "tmpfs");
  Add(10, 2, "/proc/driver", kQuiet, "tmpfs");
  BOOST_TEST(Findings() ==
             "/other: mounted, and not planned\n/other/below: mounted, and not planned\n"
             "/proc/driver: mounted, and not planned\n");
}

BOOST_AUTO_TEST_CASE(what_came_with_a_recursive_bind) {
  At(4).flags = MOUNT_ATTR_NOEXEC;
  BOOST_TEST(Findings() == "/data/below: not nosuid\n");
  Add(8, 4, "/data/below/below", 0, "tmpfs");
  BOOST_TEST(Findings() == "/data/below: not nosuid\n/data/below/below: not nosuid\n");
}

BOOST_AUTO_TEST_CASE(remounts) {
  Change(2, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, 0, 0);
  BOOST_TEST(Findings() == "/proc: not ro\n");
  At(2).flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  BOOST_TEST(Findings().empty());
  Change(3, 0, 0, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID);
  BOOST_TEST(Findings() == "/data: not ro\n/data/below: not ro\n");
  At(3).flags |= MOUNT_ATTR_RDONLY;
  At(4).flags = MOUNT_ATTR_RDONLY;
  BOOST_TEST(Findings().empty());
  // What is mounted after that is not touched by it.
  ledger.entries.push_back({.id = 8, .path = "/data/later"});
  Add(8, 3, "/data/later", 0, "tmpfs");
  BOOST_TEST(Findings().empty());
}

BOOST_AUTO_TEST_CASE(readonly_copies_keep_the_flags_of_what_they_copy) {
  At(5).flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  BOOST_TEST(Findings() == "/proc/sys: not nosuid\n");
}

BOOST_AUTO_TEST_CASE(paths) {
  found.masked[0].mount = 2;
  BOOST_TEST(Findings() == "/proc/acpi: not masked\n");
  found.masked[0].mount = 6;
  found.readonly[0].mount = 2;
  BOOST_TEST(Findings() == "/proc/sys: not read-only\n");
  found.readonly[0].mount = 6;  // masked as well
  BOOST_TEST(Findings().empty());
  found.readonly[0].mount = 99;
  found.masked[0].mount = 99;
  BOOST_TEST(Findings() == "/proc/acpi: not masked\n/proc/sys: not read-only\n");
}

BOOST_AUTO_TEST_CASE(writable_and_executable) {
  plan.writable_or_executable = true;
  BOOST_TEST(Findings() == "/data: both writable and executable\n/data/below: both writable and executable\n");
  At(3).flags |= MOUNT_ATTR_RDONLY;
  At(4).flags |= MOUNT_ATTR_NOEXEC;
  BOOST_TEST(Findings().empty());
}

BOOST_AUTO_TEST_CASE(hidden_processes) {
  plan.hide_processes = true;
  BOOST_TEST(Findings() ==
             "/proc: shows all processes (no hidepid=2)\n/proc/sys: shows all processes (no hidepid=2)\n");
  for (const char* options : {"rw,hidepid=2", "rw,hidepid=invisible,subset=pid", "rw,hidepid=ptraceable"}) {
    At(2).super_options = options;
    At(5).super_options = options;
    BOOST_TEST(Findings().empty());
  }
  At(2).super_options = "rw,hidepid=noaccess";
  BOOST_TEST(Findings() == "/proc: shows all processes (no hidepid=2)\n");
}

BOOST_AUTO_TEST_CASE(a_circle_of_parents_has_an_end) {
  Add(20, 21, "/a", kQuiet, "tmpfs");
  Add(21, 20, "/b", kQuiet, "tmpfs");
  Change(1, 0, 0, MOUNT_ATTR_NODEV, 0);
  BOOST_TEST(Findings().find("/a: mounted, and not planned\n") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(rootfs_mountinfo)

BOOST_AUTO_TEST_CASE(lines) {
  const auto mounts = ParseMountInfo(
                          "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:5 - ext3 /dev/root rw,errors=continue\n"
                          "40 36 0:5 / /a\\040b ro,nosuid,nodev,noexec,nosymfollow - proc  rw,hidepid=invisible\n"
                          "41 36 0:6 / /c rw - fuse.x none ro\n")
                          .value();
  BOOST_REQUIRE(mounts.size() == 3U);
  BOOST_TEST(mounts[0].id == 36U);
  BOOST_TEST(mounts[0].parent == 35U);
  BOOST_TEST(mounts[0].point == "/mnt2");
  BOOST_TEST(mounts[0].flags == 0U);
  BOOST_TEST(mounts[0].type == "ext3");
  BOOST_TEST(mounts[1].point == "/a\\040b");
  BOOST_TEST(mounts[1].flags == (MOUNT_ATTR_RDONLY | kQuiet | MOUNT_ATTR_NOSYMFOLLOW));
  BOOST_TEST(mounts[1].super_options == "rw,hidepid=invisible");
  BOOST_TEST(mounts[2].type == "fuse.x");
  BOOST_TEST(mounts[2].flags == MOUNT_ATTR_RDONLY);
  BOOST_TEST(ParseMountInfo("").value().empty());
}

BOOST_AUTO_TEST_CASE(what_is_not_understood) {
  for (const char* text : {"\n", "x 35 98:0 / / rw - ext3 /dev/root rw", "36 -1 98:0 / / rw - ext3 /dev/root rw",
                           "36 35 98:0 / / rw", "36 35 98:0 / / rw - ext3", "36 35 98:0 / / rw shared:1 ext3 x rw"}) {
    BOOST_TEST(ParseMountInfo(text).error().message == "mountinfo: line 1 is not understood");
  }
}

BOOST_AUTO_TEST_CASE(options) {
  BOOST_TEST(HasOption("rw,a=1,b", "rw"));
  BOOST_TEST(HasOption("rw,a=1,b", "b"));
  BOOST_TEST(HasOption("rw,a=1,b", "a=1"));
  BOOST_TEST(!HasOption("rw,a=1,b", "a"));
  BOOST_TEST(!HasOption("rw,hidepid=22", "hidepid=2"));
  BOOST_TEST(!HasOption("", "rw"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::rootfs
