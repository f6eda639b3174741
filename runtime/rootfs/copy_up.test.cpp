// tmpcopyup of a hostile tree.

#include "runtime/rootfs/copy_up.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/test_directory.h"

namespace nucleus::rootfs {
namespace {

namespace fs = std::filesystem;

class Trees : private TestDirectory {
 public:
  Trees() {
    fs::create_directory(From());
    fs::create_directory(To());
    std::ofstream{top + "/secret"} << "secret";
  }
  [[nodiscard]] std::string From(const std::string& path = "") const {
    return top + "/from/" + path;
  }
  [[nodiscard]] std::string To(const std::string& path = "") const {
    return top + "/to/" + path;
  }
  [[nodiscard]] std::string Copy(Keep keep = {}) const {
    const Fd from{::open(From().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const Fd to{::open(To().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const Result<> copied = CopyUp(from.get(), to.get(), "/x", keep);
    return copied ? "copied" : copied.error().message;
  }
};

struct stat Status(const std::string& path) {
  struct stat status{};
  BOOST_REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(copy_up)

BOOST_AUTO_TEST_CASE(every_kind_of_entry) {
  ::umask(0);
  const Trees trees;
  const std::string content(3 << 20, 'c');
  std::ofstream{trees.From("file")} << content;
  std::ofstream{trees.From("empty")};
  fs::create_directories(trees.From("d/e"));
  std::ofstream{trees.From("d/e/inner")} << "inner";
  fs::create_symlink("../../secret", trees.From("link"));
  fs::create_symlink("/nowhere", trees.From("d/dangling"));
  BOOST_REQUIRE(::mkfifo(trees.From("fifo").c_str(), 0612) == 0);
  BOOST_REQUIRE(::chmod(trees.From("file").c_str(), 0741) == 0);
  BOOST_REQUIRE(::chmod(trees.From("d/e").c_str(), 01777) == 0);
  const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5}, {.tv_sec = 2000, .tv_nsec = 7}};
  BOOST_REQUIRE(::utimensat(AT_FDCWD, trees.From("d").c_str(), times, 0) == 0);
  BOOST_REQUIRE(::utimensat(AT_FDCWD, trees.From("empty").c_str(), times, 0) == 0);

  BOOST_TEST(trees.Copy() == "copied");

  BOOST_TEST(ReadFile(trees.To("file"), 8 << 20).value().size() == content.size());
  BOOST_TEST((ReadFile(trees.To("file"), 8 << 20).value() == content));
  BOOST_TEST((Status(trees.To("file")).st_mode & 07777) == 0741U);
  BOOST_TEST(Status(trees.To("empty")).st_size == 0);
  BOOST_TEST(Status(trees.To("empty")).st_mtim.tv_sec == 2000);
  BOOST_TEST(Status(trees.To("empty")).st_mtim.tv_nsec == 7);
  BOOST_TEST(ReadFile(trees.To("d/e/inner"), 100).value() == "inner");
  BOOST_TEST((Status(trees.To("d/e")).st_mode & 07777) == 01777U);
  // The directory's own time, not that of what was made in it.
  BOOST_TEST(Status(trees.To("d")).st_mtim.tv_sec == 2000);
  // Copied, never followed.
  BOOST_TEST(fs::read_symlink(trees.To("link")).string() == "../../secret");
  BOOST_TEST(fs::read_symlink(trees.To("d/dangling")).string() == "/nowhere");
  BOOST_TEST(S_ISFIFO(Status(trees.To("fifo")).st_mode));
  BOOST_TEST((Status(trees.To("fifo")).st_mode & 07777) == 0612U);
}

BOOST_AUTO_TEST_CASE(a_whole_tree) {
  const Trees trees;
  fs::create_directories(trees.From("d/e"));
  std::ofstream{trees.From("d/one")} << "1";
  fs::create_hard_link(trees.From("d/one"), trees.From("d/e/two"));
  fs::create_symlink("nowhere", trees.From("link"));
  fs::create_hard_link(trees.From("link"), trees.From("d/link"));
  BOOST_REQUIRE(::setxattr(trees.From("d/one").c_str(), "user.note", "value", 5, 0) == 0);
  BOOST_REQUIRE(::setxattr(trees.From("d").c_str(), "user.empty", "", 0, 0) == 0);
  BOOST_REQUIRE(::mkfifo(trees.From("fifo").c_str(), 0600) == 0);
  const ::mode_t before = ::umask(0077);
  BOOST_REQUIRE(::chmod(trees.From("fifo").c_str(), 0666) == 0);
  BOOST_TEST(trees.Copy({.whole = true}) == "copied");
  ::umask(before);
  BOOST_TEST(Status(trees.To("d/one")).st_ino == Status(trees.To("d/e/two")).st_ino);
  BOOST_TEST(Status(trees.To("d/one")).st_nlink == 2U);
  BOOST_TEST(Status(trees.To("link")).st_ino == Status(trees.To("d/link")).st_ino);
  BOOST_TEST((Status(trees.To("fifo")).st_mode & 07777) == 0666U);
  char value[16] = {};
  BOOST_TEST(::getxattr(trees.To("d/one").c_str(), "user.note", value, sizeof value) == 5);
  BOOST_TEST(std::string_view(value, 5) == "value");
  BOOST_TEST(::getxattr(trees.To("d").c_str(), "user.empty", value, sizeof value) == 0);
  // Of tmpcopyup none of this is asked for.
  const Trees plain;
  std::ofstream{plain.From("one")} << "1";
  fs::create_hard_link(plain.From("one"), plain.From("two"));
  BOOST_TEST(plain.Copy() == "copied");
  BOOST_TEST(Status(plain.To("one")).st_nlink == 1U);
}

BOOST_AUTO_TEST_CASE(an_empty_tree) {
  const Trees trees;
  BOOST_TEST(trees.Copy() == "copied");
  BOOST_TEST(fs::is_empty(trees.To()));
}

BOOST_AUTO_TEST_CASE(depth_is_bounded) {
  const auto nested = [](int levels) {
    std::string path = "d";
    for (int i = 1; i < levels; ++i) {
      path += "/d";
    }
    return path;
  };
  const Trees good;
  fs::create_directories(good.From(nested(64)));
  BOOST_TEST(good.Copy() == "copied");
  BOOST_TEST(fs::is_directory(good.To(nested(64))));
  const Trees deep;
  fs::create_directories(deep.From(nested(65)));
  BOOST_TEST(deep.Copy().ends_with("too many levels of symbolic links"));
}

BOOST_AUTO_TEST_CASE(what_is_there_is_not_overwritten) {
  const Trees trees;
  std::ofstream{trees.From("f")} << "new";
  std::ofstream{trees.To("f")} << "old";
  BOOST_TEST(trees.Copy() == "create /x/f: file exists");
  BOOST_TEST(ReadFile(trees.To("f"), 100).value() == "old");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::rootfs
