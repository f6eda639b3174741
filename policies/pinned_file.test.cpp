#include "policies/pinned_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>

#include "base/sha256.h"

namespace nucleus::policies {
namespace {

struct Bundle {
  Bundle() {
    char name[] = "/tmp/nucleus-pin.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Bundle() {
    (void)!std::system(("rm -rf " + path).c_str());
  }
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  void Write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    std::ofstream{path + "/" + name} << text;
    BOOST_REQUIRE(::chmod((path + "/" + name).c_str(), mode) == 0);
  }
  [[nodiscard]] std::string Refusal(const std::string& name, const std::string& digest = "") const {
    const Result<PinnedFile> file = ReadPinned(path, {.path = name, .digest = digest}, 100);
    return file ? "" : file.error().message;
  }

  std::string path;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(pinned_file, Bundle)

BOOST_AUTO_TEST_CASE(bytes_and_their_digest) {
  Write("p.toml", "keep = []\n");
  const std::string digest = Sha256Hex("keep = []\n");
  for (const std::string& name : {std::string{"p.toml"}, path + "/p.toml"}) {
    const Result<PinnedFile> file = ReadPinned(path, {.path = name, .digest = digest});
    BOOST_REQUIRE(file.has_value());
    BOOST_TEST(file->bytes == "keep = []\n");
    BOOST_TEST(file->digest == digest);
    BOOST_TEST(ReadPinned(path, {.path = name, .digest = ""})->digest == digest);
  }
}

BOOST_AUTO_TEST_CASE(another_digest) {
  Write("p", "b");
  BOOST_TEST(Refusal("p", Sha256Hex("a")) == "p: is sha256:" + Sha256Hex("b") + ", pinned is sha256:" + Sha256Hex("a"));
}

BOOST_AUTO_TEST_CASE(kinds_of_files) {
  BOOST_TEST(Refusal("absent") == "absent: no such file or directory");
  BOOST_REQUIRE(::mkdir((path + "/d").c_str(), 0755) == 0);
  BOOST_TEST(Refusal("d") == "d: not a regular file");
  BOOST_REQUIRE(::mkfifo((path + "/fifo").c_str(), 0644) == 0);
  BOOST_TEST(Refusal("fifo") == "fifo: not a regular file");
  BOOST_TEST(Refusal("/dev/zero") == "/dev/zero: not a regular file");
  Write("open", "x", 0666);
  BOOST_TEST(Refusal("open") == "open: everybody may write to it");
  Write("huge", std::string(101, 'x'));
  BOOST_TEST(Refusal("huge") == "huge: larger than 100 bytes");
  // A file of procfs says that it is empty and is not.
  BOOST_TEST(Refusal("/proc/self/status") == "read /proc/self/status: file too large");
  BOOST_TEST(Refusal("/proc/self/comm") == "/proc/self/comm: changed while it was read");
}

BOOST_AUTO_TEST_CASE(symbolic_links) {
  Write("p", "x");
  BOOST_REQUIRE(::symlink("p", (path + "/link").c_str()) == 0);
  BOOST_TEST(Refusal("link") == "link: a symbolic link");
  BOOST_TEST(Refusal(path + "/link") == path + "/link: a symbolic link");
  BOOST_REQUIRE(::mkdir((path + "/d").c_str(), 0755) == 0);
  Write("d/p", "x");
  BOOST_REQUIRE(::symlink("d", (path + "/dlink").c_str()) == 0);
  BOOST_TEST(Refusal("d/p").empty());
  BOOST_TEST(Refusal("dlink/p") == "dlink/p: a symbolic link");
  // Where the directories of the host lie is the host's matter.
  BOOST_TEST(Refusal(path + "/dlink/p").empty());
  BOOST_REQUIRE(::symlink("/etc", (path + "/out").c_str()) == 0);
  BOOST_TEST(Refusal("out/passwd") == "out/passwd: a symbolic link");
  BOOST_TEST(Refusal("../x") == "../x: leads out of the bundle");
  BOOST_TEST(Refusal("/proc/self/exe") == "/proc/self/exe: a symbolic link");
  BOOST_TEST(Refusal("/proc/self/root/etc/passwd") == "/proc/self/root/etc/passwd: a symbolic link");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::policies
