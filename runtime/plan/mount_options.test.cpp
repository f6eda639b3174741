// Mount options: what each means, and that the last word on a flag wins.

#include "runtime/plan/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace nucleus::plan {
namespace {

using Strings = std::vector<std::string>;

MountOptions Parse(const Strings& options) {
  return ParseMountOptions(options);
}

// A flag with the word that sets it and the word that clears it.
struct Flag {
  const char* set;
  const char* clear;
  std::uint64_t bit;
};
constexpr Flag kFlags[] = {
    {"ro", "rw", MOUNT_ATTR_RDONLY},
    {"nosuid", "suid", MOUNT_ATTR_NOSUID},
    {"nodev", "dev", MOUNT_ATTR_NODEV},
    {"noexec", "exec", MOUNT_ATTR_NOEXEC},
    {"nodiratime", "diratime", MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", "symfollow", MOUNT_ATTR_NOSYMFOLLOW},
};

constexpr std::uint64_t kAtimeField = MOUNT_ATTR__ATIME;

}  // namespace

BOOST_AUTO_TEST_SUITE(mount_options)

BOOST_AUTO_TEST_CASE(empty_list) {
  const MountOptions none = Parse({});
  BOOST_TEST(none.set == 0U);
  BOOST_TEST(none.clear == 0U);
  BOOST_TEST(none.recursive_set == 0U);
  BOOST_TEST(none.recursive_clear == 0U);
  BOOST_TEST(none.propagation == 0U);
  BOOST_TEST(!none.bind);
  BOOST_TEST(!none.remount);
  BOOST_TEST(!none.tmpcopyup);
  BOOST_TEST(none.parameters.empty());
  BOOST_TEST(none.superblock_flags.empty());
}

BOOST_AUTO_TEST_CASE(flags_and_the_last_word) {
  for (const Flag& flag : kFlags) {
    BOOST_TEST_CONTEXT(flag.set << " and " << flag.clear) {
      BOOST_TEST(Parse({flag.set}).set == flag.bit);
      BOOST_TEST(Parse({flag.set}).clear == 0U);
      BOOST_TEST(Parse({flag.clear}).set == 0U);
      BOOST_TEST(Parse({flag.clear}).clear == flag.bit);
      BOOST_TEST(Parse({flag.set, flag.clear}).set == 0U);
      BOOST_TEST(Parse({flag.set, flag.clear}).clear == flag.bit);
      BOOST_TEST(Parse({flag.clear, flag.set}).set == flag.bit);
      BOOST_TEST(Parse({flag.clear, flag.set}).clear == 0U);
      BOOST_TEST(Parse({flag.set, "defaults"}).set == flag.bit);
      // The recursive words are a layer of their own.
      const std::string set = "r" + std::string{flag.set};
      const std::string clear = "r" + std::string{flag.clear};
      BOOST_TEST(Parse({set}).recursive_set == flag.bit);
      BOOST_TEST(Parse({set}).set == 0U);
      BOOST_TEST(Parse({clear}).recursive_clear == flag.bit);
      BOOST_TEST(Parse({set, clear}).recursive_set == 0U);
      BOOST_TEST(Parse({set, clear}).recursive_clear == flag.bit);
      BOOST_TEST(Parse({clear, set}).recursive_set == flag.bit);
      BOOST_TEST(Parse({clear, set}).recursive_clear == 0U);
      BOOST_TEST(Parse({set, flag.clear}).recursive_set == flag.bit);
      BOOST_TEST(Parse({set, flag.clear}).clear == flag.bit);
    }
  }
}

BOOST_AUTO_TEST_CASE(several_flags_at_once) {
  const MountOptions options = Parse({"nosuid", "noexec", "nodev", "ro"});
  BOOST_TEST(options.set ==
             std::uint64_t{MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY});
  BOOST_TEST(options.clear == 0U);
}

// One of three modes; the kernel demands that the whole field is cleared when one is set.
BOOST_AUTO_TEST_CASE(access_time_is_one_field) {
  struct Row {
    const char* word;
    std::uint64_t mode;
  };
  static constexpr Row kRows[] = {
      {"noatime", MOUNT_ATTR_NOATIME}, {"strictatime", MOUNT_ATTR_STRICTATIME}, {"relatime", MOUNT_ATTR_RELATIME},
      {"atime", MOUNT_ATTR_RELATIME},  {"nostrictatime", MOUNT_ATTR_RELATIME},
  };
  for (const Row& first : kRows) {
    BOOST_TEST(Parse({first.word}).set == first.mode);
    BOOST_TEST(Parse({first.word}).clear == kAtimeField);
    const std::string recursive = "r" + std::string{first.word};
    BOOST_TEST(Parse({recursive}).recursive_set == first.mode);
    BOOST_TEST(Parse({recursive}).recursive_clear == kAtimeField);
    BOOST_TEST(Parse({recursive}).set == 0U);
    for (const Row& second : kRows) {
      BOOST_TEST_CONTEXT(first.word << " then " << second.word) {
        const MountOptions both = Parse({first.word, "nodiratime", second.word, "ro"});
        BOOST_TEST(both.set == (second.mode | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_RDONLY));
        BOOST_TEST(both.clear == kAtimeField);
      }
    }
  }
  BOOST_TEST(Parse({"noatime", "norelatime"}).set == std::uint64_t{MOUNT_ATTR_NOATIME});
  BOOST_TEST(Parse({"norelatime"}).clear == 0U);
}

BOOST_AUTO_TEST_CASE(propagation) {
  struct Row {
    const char* word;
    std::uint64_t value;
  };
  static constexpr Row kRows[] = {
      {"shared", MS_SHARED}, {"slave", MS_SLAVE}, {"private", MS_PRIVATE}, {"unbindable", MS_UNBINDABLE}};
  for (const Row& row : kRows) {
    BOOST_TEST(Parse({row.word}).propagation == row.value);
    BOOST_TEST(!Parse({row.word}).propagation_recursive);
    const std::string recursive = "r" + std::string{row.word};
    BOOST_TEST(Parse({recursive}).propagation == row.value);
    BOOST_TEST(Parse({recursive}).propagation_recursive);
  }
  BOOST_TEST(Parse({"rshared", "private"}).propagation == std::uint64_t{MS_PRIVATE});
  BOOST_TEST(!Parse({"rshared", "private"}).propagation_recursive);
}

BOOST_AUTO_TEST_CASE(binding) {
  BOOST_TEST(Parse({"bind"}).bind);
  BOOST_TEST(!Parse({"bind"}).recursive_bind);
  BOOST_TEST(Parse({"rbind"}).bind);
  BOOST_TEST(Parse({"rbind"}).recursive_bind);
  BOOST_TEST(Parse({"remount"}).remount);
  BOOST_TEST(!Parse({"remount"}).bind);
  BOOST_TEST(Parse({"tmpcopyup"}).tmpcopyup);
  BOOST_TEST(Parse({"idmap"}).idmap);
  BOOST_TEST(Parse({"ridmap"}).recursive_idmap);
}

BOOST_AUTO_TEST_CASE(superblock_flags) {
  BOOST_TEST(Parse({"sync"}).superblock_flags == Strings{"sync"}, boost::test_tools::per_element());
  BOOST_TEST(Parse({"sync", "async"}).superblock_flags == Strings{"async"}, boost::test_tools::per_element());
  BOOST_TEST(Parse({"async", "sync"}).superblock_flags == Strings{"sync"}, boost::test_tools::per_element());
  BOOST_TEST(Parse({"lazytime", "nolazytime"}).superblock_flags == Strings{"nolazytime"},
             boost::test_tools::per_element());
  BOOST_TEST(Parse({"mand", "nomand", "mand"}).superblock_flags == Strings{"mand"}, boost::test_tools::per_element());
  const Strings all = Parse({"dirsync", "sync", "mand", "lazytime"}).superblock_flags;
  BOOST_TEST(all.size() == 4U);
  BOOST_TEST(std::count(all.begin(), all.end(), "dirsync") == 1);
}

BOOST_AUTO_TEST_CASE(words_without_a_call) {
  for (const char* word : {"defaults", "iversion", "noiversion", "silent", "loud", "norelatime"}) {
    const MountOptions options = Parse({word});
    BOOST_TEST_CONTEXT(word) {
      BOOST_TEST(options.set == 0U);
      BOOST_TEST(options.clear == 0U);
      BOOST_TEST(options.parameters.empty());
      BOOST_TEST(options.superblock_flags.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(parameters_of_the_filesystem) {
  const MountOptions options =
      Parse({"mode=755", "size=65536k", "newinstance", "ptmxmode=0666", "lowerdir=/a:/b=c", "x=", "RO", "acl"});
  BOOST_REQUIRE(options.parameters.size() == 8U);
  BOOST_TEST(options.parameters[0].key == "mode");
  BOOST_TEST(options.parameters[0].value == "755");
  BOOST_TEST(options.parameters[0].has_value);
  BOOST_TEST(options.parameters[2].key == "newinstance");
  BOOST_TEST(!options.parameters[2].has_value);
  BOOST_TEST(options.parameters[4].key == "lowerdir");
  BOOST_TEST(options.parameters[4].value == "/a:/b=c");
  BOOST_TEST(options.parameters[5].has_value);
  BOOST_TEST(options.parameters[5].value.empty());
  // Words are spelled in lower case.
  BOOST_TEST(options.parameters[6].key == "RO");
  BOOST_TEST(options.set == 0U);
}

// As mount(2) took them: several in a string, empty ones for nothing.
BOOST_AUTO_TEST_CASE(parameters_as_data) {
  const MountOptions several = Parse({"size=64k,mode=1777,,noswap"});
  BOOST_REQUIRE(several.parameters.size() == 3U);
  BOOST_TEST(several.parameters[0].key == "size");
  BOOST_TEST(several.parameters[0].value == "64k");
  BOOST_TEST(several.parameters[1].value == "1777");
  BOOST_TEST(several.parameters[2].key == "noswap");
  BOOST_TEST(!several.parameters[2].has_value);
  BOOST_TEST(Parse({"", ","}).parameters.empty());
  const MountOptions quoted = Parse({R"(context="system_u:object_r:x:s0:c1,c2")", R"(lowerdir=/a\,b)"});
  BOOST_REQUIRE(quoted.parameters.size() == 2U);
  BOOST_TEST(quoted.parameters[0].value == R"("system_u:object_r:x:s0:c1,c2")");
  BOOST_TEST(quoted.parameters[1].value == R"(/a\,b)");
}

// Every word that the specification lists as MUST or SHOULD is known, hence never handed to a filesystem.
BOOST_AUTO_TEST_CASE(the_specifications_words) {
  static constexpr const char* kWords[] = {"async",
                                           "atime",
                                           "bind",
                                           "defaults",
                                           "dev",
                                           "diratime",
                                           "dirsync",
                                           "exec",
                                           "iversion",
                                           "lazytime",
                                           "loud",
                                           "mand",
                                           "noatime",
                                           "nodev",
                                           "nodiratime",
                                           "noexec",
                                           "noiversion",
                                           "nolazytime",
                                           "nomand",
                                           "norelatime",
                                           "nostrictatime",
                                           "nosuid",
                                           "nosymfollow",
                                           "private",
                                           "ratime",
                                           "rbind",
                                           "rdev",
                                           "rdiratime",
                                           "relatime",
                                           "remount",
                                           "rexec",
                                           "rnoatime",
                                           "rnodev",
                                           "rnodiratime",
                                           "rnoexec",
                                           "rnorelatime",
                                           "rnostrictatime",
                                           "rnosuid",
                                           "rnosymfollow",
                                           "ro",
                                           "rprivate",
                                           "rrelatime",
                                           "rro",
                                           "rrw",
                                           "rshared",
                                           "rslave",
                                           "rstrictatime",
                                           "rsuid",
                                           "rsymfollow",
                                           "runbindable",
                                           "rw",
                                           "shared",
                                           "silent",
                                           "slave",
                                           "strictatime",
                                           "suid",
                                           "symfollow",
                                           "sync",
                                           "tmpcopyup",
                                           "unbindable"};
  const Strings known = KnownMountOptions();
  BOOST_TEST(std::is_sorted(known.begin(), known.end()));
  for (const char* word : kWords) {
    BOOST_TEST(std::count(known.begin(), known.end(), word) == 1, word);
    BOOST_TEST(Parse({word}).parameters.empty(), word);
  }
  // What `features` lists is recognised.
  for (const std::string& word : known) {
    BOOST_TEST(Parse({word}).parameters.empty(), word);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
