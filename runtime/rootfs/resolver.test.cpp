// Paths inside a hostile rootfs: nothing that is opened or made lies outside of it. Needs no privilege.

#include "runtime/rootfs/resolver.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

namespace nucleus::rootfs {
namespace {

namespace fs = std::filesystem;

// top/outside is what must stay as it is; top/root is the rootfs.
class Tree {
 public:
  Tree() {
    char name[] = "/tmp/nucleus-test-resolver-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    top_ = name;
    fs::create_directory(top_ + "/outside");
    std::ofstream{top_ + "/outside/secret"} << "secret";
    fs::create_directory(top_ + "/root");
    root_.Reset(::open((top_ + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    BOOST_REQUIRE(root_.valid());
  }
  ~Tree() {
    // Whatever was made, it was not made there.
    int entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator{top_ + "/outside"}) {
      ++entries;
    }
    BOOST_TEST(entries == 1);
    entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator{top_}) {
      ++entries;
    }
    BOOST_TEST(entries == 2);
    fs::remove_all(top_);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  // A symbolic link at `path` in the root.
  void Link(const std::string& path, const std::string& target) const {
    fs::create_symlink(target, InRoot(path));
  }
  void Directory(const std::string& path) const {
    fs::create_directories(InRoot(path));
  }
  void File(const std::string& path, const std::string& content = "") const {
    std::ofstream{InRoot(path)} << content;
  }
  [[nodiscard]] std::string InRoot(const std::string& path) const {
    return top_ + "/root/" + path;
  }
  [[nodiscard]] const std::string& top() const {
    return top_;
  }
  [[nodiscard]] Resolver resolver() const {
    return Resolver{root_.get()};
  }

  // Where a descriptor is, seen from the root; "outside: ..." when it is not below it; the error's symbol for an error.
  [[nodiscard]] std::string Where(const Result<Fd>& fd) const {
    if (!fd) {
      return ErrnoName(fd.error().code);
    }
    char path[4096];
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd->get())).c_str(), path, sizeof path);
    const std::string real{path, static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
    const std::string root = top_ + "/root";
    if (real == root) {
      return "/";
    }
    return real.starts_with(root + "/") ? real.substr(root.size()) : "outside: " + real;
  }
  [[nodiscard]] std::string Opened(const std::string& path) const {
    return Where(resolver().Open(path, O_PATH));
  }
  [[nodiscard]] std::string MadeDirectory(const std::string& path) const {
    return Where(resolver().MakeDirectory(path));
  }
  [[nodiscard]] std::string MadeFile(const std::string& path) const {
    return Where(resolver().MakeFile(path));
  }

 private:
  std::string top_;
  Fd root_;
};

bool IsDirectory(const Result<Fd>& fd) {
  struct stat status{};
  return fd && ::fstat(fd->get(), &status) == 0 && S_ISDIR(status.st_mode);
}
bool IsRegular(const Result<Fd>& fd) {
  struct stat status{};
  return fd && ::fstat(fd->get(), &status) == 0 && S_ISREG(status.st_mode);
}

std::string Repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) {
    result += text;
  }
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(resolver)

BOOST_AUTO_TEST_CASE(opening) {
  const Tree tree;
  tree.Directory("a/b");
  tree.File("a/b/f");
  BOOST_TEST(tree.Opened("/a/b/f") == "/a/b/f");
  BOOST_TEST(tree.Opened("a/b/f") == "/a/b/f");
  BOOST_TEST(tree.Opened("/a//b/./f") == "/a/b/f");
  BOOST_TEST(tree.Opened("/") == "/");
  BOOST_TEST(tree.Opened("/..") == "/");
  BOOST_TEST(tree.Opened("/../../../a") == "/a");
  BOOST_TEST(tree.Opened("/missing") == "ENOENT");
  BOOST_TEST(tree.Opened("/a/b/f/x") == "ENOTDIR");
  BOOST_TEST(tree.Opened("") == "ENOENT");
}

BOOST_AUTO_TEST_CASE(links_stay_inside) {
  const Tree tree;
  tree.Directory("a/b");
  tree.Directory("etc");
  tree.Link("absolute", "/etc");
  tree.Link("relative", "a/b");
  tree.Link("a/up", "../../../../..");
  tree.Link("outside", tree.top() + "/outside");
  tree.Link("secret", "../outside/secret");
  tree.Link("slash", "/");
  tree.Link("magic", "/proc/self/root");
  BOOST_TEST(tree.Opened("/absolute") == "/etc");
  BOOST_TEST(tree.Opened("/relative") == "/a/b");
  BOOST_TEST(tree.Opened("/a/up") == "/");
  BOOST_TEST(tree.Opened("/a/up/etc") == "/etc");
  BOOST_TEST(tree.Opened("/slash/etc") == "/etc");
  BOOST_TEST(tree.Opened("/outside") == "ENOENT");
  BOOST_TEST(tree.Opened("/secret") == "ENOENT");
  BOOST_TEST(tree.Opened("/outside/secret") == "ENOENT");
  BOOST_TEST(tree.Opened("/magic") == "ENOENT");
}

BOOST_AUTO_TEST_CASE(loops_and_long_chains) {
  const Tree tree;
  tree.Link("self", "self");
  tree.Link("ping", "pong");
  tree.Link("pong", "ping");
  tree.Link("below", "below/x");
  for (const char* path : {"/self", "/ping", "/pong/x", "/below"}) {
    BOOST_TEST(tree.Opened(path) == "ELOOP");
    BOOST_TEST(tree.MadeDirectory(path) == "ELOOP");
    BOOST_TEST(tree.MadeFile(path) == "ELOOP");
  }
  // The kernel follows 40 links, not 41.
  tree.Directory("end");
  tree.Link("1", "end");
  for (int i = 2; i <= 41; ++i) {
    tree.Link(std::to_string(i), std::to_string(i - 1));
  }
  BOOST_TEST(tree.Opened("/39") == "/end");
  BOOST_TEST(tree.Opened("/40") == "/end");
  BOOST_TEST(tree.Opened("/41") == "ELOOP");
  BOOST_TEST(tree.MadeDirectory("/40") == "/end");
  BOOST_TEST(tree.MadeDirectory("/41") == "ELOOP");
}

BOOST_AUTO_TEST_CASE(chains_to_what_is_missing) {
  for (const bool directory : {true, false}) {
    const Tree tree;
    tree.Link("1", "end");
    for (int i = 2; i <= 42; ++i) {
      tree.Link(std::to_string(i), std::to_string(i - 1));
    }
    const auto made = [&](const std::string& path) {
      return directory ? tree.MadeDirectory(path) : tree.MadeFile(path);
    };
    BOOST_TEST(made("/42") == "ELOOP");
    BOOST_TEST(tree.Opened("/end") == "ENOENT");
    BOOST_TEST(made("/39") == "/end");
    BOOST_TEST(made("/40") == "/end");
  }
}

BOOST_AUTO_TEST_CASE(without_links) {
  const Tree tree;
  tree.Directory("a/b");
  tree.Link("l", "a");
  const auto opened = [&tree](const std::string& path) {
    return tree.Where(tree.resolver().OpenNoSymlinks(path, O_PATH));
  };
  BOOST_TEST(opened("/a/b") == "/a/b");
  BOOST_TEST(opened("/l") == "ELOOP");
  BOOST_TEST(opened("/l/b") == "ELOOP");
  BOOST_TEST(opened("/a/../a") == "/a");
  // With O_NOFOLLOW the last one is the link itself, for the caller to look at.
  BOOST_TEST(tree.Where(tree.resolver().OpenNoSymlinks("/l", O_PATH | O_NOFOLLOW)) == "/l");
  BOOST_TEST(tree.Where(tree.resolver().OpenNoSymlinks("/l/b", O_PATH | O_NOFOLLOW)) == "ELOOP");
}

BOOST_AUTO_TEST_CASE(directories_are_made_with_their_parents) {
  const Tree tree;
  ::umask(0);
  BOOST_TEST(tree.MadeDirectory("/x/y/z") == "/x/y/z");
  struct stat status{};
  BOOST_TEST(::stat(tree.InRoot("x/y").c_str(), &status) == 0);
  BOOST_TEST((status.st_mode & 07777) == 0755U);
  BOOST_TEST(IsDirectory(tree.resolver().MakeDirectory("/x/y/z")));
  BOOST_TEST(tree.MadeDirectory("x//y/./w/") == "/x/y/w");
  BOOST_TEST(tree.MadeDirectory("/") == "/");
  BOOST_TEST(tree.MadeDirectory("/../../q") == "/q");
  tree.File("f");
  BOOST_TEST(tree.MadeDirectory("/f") == "ENOTDIR");
  BOOST_TEST(tree.MadeDirectory("/f/g") == "ENOTDIR");
  BOOST_TEST(tree.MadeDirectory("") == "ENOENT");
  BOOST_TEST(tree.MadeDirectory("/new/..") == "ENOENT");
  BOOST_TEST(tree.MadeDirectory("/" + std::string(300, 'n')) == "ENAMETOOLONG");
}

// A mount's destination may be as deep as it likes.
BOOST_AUTO_TEST_CASE(deep_paths) {
  const Tree tree;
  const std::string deep = Repeat("/d", 100);
  BOOST_TEST(tree.MadeDirectory(deep) == deep);
  BOOST_TEST(tree.MadeFile(deep + Repeat("/e", 100) + "/f") == deep + Repeat("/e", 100) + "/f");
  BOOST_TEST(tree.MadeDirectory(Repeat("/z", 1500)) == "ENAMETOOLONG");
}

// Links whose targets are long paths of missing directories that begin with such a link: bounded, not a full stack.
BOOST_AUTO_TEST_CASE(deep_paths_through_links) {
  const Tree tree;
  for (int i = 0; i < 20; ++i) {
    tree.Link("l" + std::to_string(i), "/l" + std::to_string(i + 1) + Repeat("/m", 1500));
  }
  BOOST_TEST(tree.MadeDirectory("/l0/x") == "ENAMETOOLONG");
  BOOST_TEST(tree.MadeFile("/l0/x") == "ENAMETOOLONG");
}

BOOST_AUTO_TEST_CASE(files_are_made_empty) {
  const Tree tree;
  ::umask(0);
  BOOST_TEST(tree.MadeFile("/new/file") == "/new/file");
  struct stat status{};
  BOOST_TEST(::stat(tree.InRoot("new/file").c_str(), &status) == 0);
  BOOST_TEST(S_ISREG(status.st_mode));
  BOOST_TEST(status.st_size == 0);
  BOOST_TEST((status.st_mode & 07777) == 0644U);
  tree.File("there", "content");
  BOOST_TEST(tree.MadeFile("/there") == "/there");
  BOOST_TEST(fs::file_size(tree.InRoot("there")) == 7U);
  tree.Directory("d");
  BOOST_TEST(tree.MadeFile("/d") == "/d");
  BOOST_TEST(IsDirectory(tree.resolver().MakeFile("/d")));
  BOOST_TEST(tree.MadeFile("/there/x") == "ENOTDIR");
}

BOOST_AUTO_TEST_CASE(links_to_what_is_missing_are_made_inside) {
  const Tree tree;
  tree.Directory("a");
  tree.Link("a/relative", "new1");
  tree.Link("a/absolute", "/new2/deep");
  tree.Link("a/up", "../../../../new3");
  tree.Link("a/outside", tree.top() + "/outside/made");
  tree.Link("middle", "nowhere/there");
  BOOST_TEST(tree.MadeDirectory("/a/relative/x") == "/a/new1/x");
  BOOST_TEST(tree.MadeDirectory("/a/absolute") == "/new2/deep");
  BOOST_TEST(tree.MadeFile("/a/up") == "/new3");
  BOOST_TEST(IsRegular(tree.resolver().MakeFile("/a/up")));
  BOOST_TEST(tree.MadeDirectory("/middle/x/y") == "/nowhere/there/x/y");
  // The host's path is made again, inside.
  BOOST_TEST(tree.MadeFile("/a/outside") == tree.top() + "/outside/made");
  BOOST_TEST(fs::exists(tree.InRoot(tree.top() + "/outside/made")));
  BOOST_TEST(!fs::exists(tree.top() + "/outside/made"));
}

BOOST_AUTO_TEST_CASE(special_files_are_never_opened) {
  const Tree tree;
  BOOST_REQUIRE(::mkfifo(tree.InRoot("fifo").c_str(), 0600) == 0);
  tree.Link("link", "fifo");
  // Would wait for a writer if it were opened for more than a place.
  BOOST_TEST(tree.MadeFile("/fifo") == "/fifo");
  BOOST_TEST(tree.MadeFile("/link") == "/fifo");
  BOOST_TEST(tree.MadeDirectory("/fifo") == "ENOTDIR");
  BOOST_TEST(tree.MadeDirectory("/fifo/x") == "ENOTDIR");
}

BOOST_AUTO_TEST_CASE(parents) {
  const Tree tree;
  const Result<Resolver::Entry> entry = tree.resolver().MakeParent("/x/y/name/");
  BOOST_REQUIRE(entry.has_value());
  BOOST_TEST(entry->name == "name");
  BOOST_TEST(fs::is_directory(tree.InRoot("x/y")));
  BOOST_TEST(!fs::exists(tree.InRoot("x/y/name")));
  BOOST_TEST(tree.resolver().MakeParent("/top").value().name == "top");
  tree.Link("out", tree.top());
  const Result<Resolver::Entry> inside = tree.resolver().MakeParent("/out/name");
  BOOST_REQUIRE(inside.has_value());
  BOOST_TEST(fs::is_directory(tree.InRoot(tree.top())));
  for (const char* path : {"/", "/..", "/x/..", "/x/.", ".", "..", ""}) {
    const Result<Resolver::Entry> refused = tree.resolver().MakeParent(path);
    BOOST_TEST(!refused.has_value(), path);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::rootfs
