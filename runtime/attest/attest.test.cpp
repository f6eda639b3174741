// Trees of this test's own, described, changed and compared. What needs root's powers is in conformance/test_attest.py.

#include "runtime/attest/attest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

namespace nucleus::attest {
namespace {

struct Tree {
  std::string path = "/tmp/nucleus-attest.XXXXXX";
  Fd root;

  Tree() {
    BOOST_REQUIRE(::mkdtemp(path.data()) != nullptr);
    root = Fd{::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    Directory("/sub");
    File("/sub/file", "content");
    File("/other", "");
    BOOST_REQUIRE(::symlinkat("/etc/passwd", root.get(), "link") == 0);
    BOOST_REQUIRE(::mkfifoat(root.get(), "fifo", 0600) == 0);
    BOOST_REQUIRE(::linkat(root.get(), "other", root.get(), "sub/same", 0) == 0);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() {
    (void)::system(("rm -rf " + path).c_str());  // NOLINT(cert-env33-c)
  }

  void Directory(const std::string& name) const {
    BOOST_REQUIRE(::mkdir((path + name).c_str(), 0755) == 0);
  }
  void File(const std::string& name, std::string_view content) const {
    const Fd file{::open((path + name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    BOOST_REQUIRE(WriteAll(file.get(), content, name).has_value());
  }
  void Remove(const std::string& name) const {
    BOOST_REQUIRE(::system(("rm -r " + path + name).c_str()) == 0);  // NOLINT(cert-env33-c)
  }
  [[nodiscard]] Manifest Describe(unsigned threads = 2) const {
    return DescribeTree({.root = root.get()}, false, threads).value();
  }
  // The lines of the findings.
  [[nodiscard]] std::string Compare(const Manifest& manifest, unsigned threads = 2) const {
    const Report report = CompareTree({.root = root.get()}, manifest, threads).value();
    std::string lines;
    for (const Finding& finding : report.first) {
      lines += Line(finding) + "\n";
    }
    BOOST_TEST(report.first.size() == std::min(report.count, Report::kListed));
    return lines;
  }
};

std::string Text(const Manifest& manifest) {
  std::string text{HeaderOf(manifest)};
  for (const Entry& entry : manifest.entries) {
    AppendEntry(text, manifest, entry);
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(attest_tree)

BOOST_AUTO_TEST_CASE(the_description_is_canonical_and_matches) {
  const Tree tree;
  const std::string text = Text(tree.Describe(1));
  BOOST_TEST(Text(tree.Describe(8)) == text);
  const Manifest manifest = ParseManifest(text, "m").value();
  BOOST_TEST(Text(manifest) == text);
  BOOST_TEST(tree.Compare(manifest, 1).empty());
  BOOST_TEST(tree.Compare(manifest, 8).empty());
  BOOST_TEST(text.find("/sub/same hardlink /other\n") != std::string::npos);
  BOOST_TEST(text.find(" 7 " + Sha256Hex("content") + "\n") != std::string::npos);
  BOOST_TEST(text.find(":" + std::to_string(::getegid()) + " /etc/passwd\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(each_difference_has_its_name) {
  const Tree tree;
  const Manifest manifest = ParseManifest(Text(tree.Describe()), "m").value();
  tree.File("/sub/file", "CONTENT");
  BOOST_TEST(tree.Compare(manifest) == "different /sub/file: content differs\n");
  tree.File("/sub/file", "longer content");
  BOOST_TEST(tree.Compare(manifest) == "different /sub/file: size is 14, not 7\n");
  tree.File("/sub/file", "content");
  ::chmod((tree.path + "/sub/file").c_str(), 04755);
  BOOST_TEST(tree.Compare(manifest) == "different /sub/file: mode is 4755, not 0644\n");
  tree.File("/sub/file", "x");
  ::chmod((tree.path + "/sub/file").c_str(), 0600);
  BOOST_TEST(tree.Compare(manifest) == "different /sub/file: mode is 0600, not 0644; size is 1, not 7\n");
  tree.Remove("/sub/file");
  BOOST_TEST(tree.Compare(manifest) == "missing /sub/file\n");
  tree.Directory("/sub/file");
  tree.File("/sub/file/x", "");
  BOOST_TEST(tree.Compare(manifest) == "different /sub/file: type is dir, not file\n");
}

BOOST_AUTO_TEST_CASE(links) {
  const Tree tree;
  const Manifest manifest = ParseManifest(Text(tree.Describe()), "m").value();
  tree.Remove("/link");
  BOOST_REQUIRE(::symlinkat("a\nb", tree.root.get(), "link") == 0);
  BOOST_TEST(tree.Compare(manifest) == "different /link: target is a\\x0ab, not /etc/passwd\n");
  tree.Remove("/link");
  BOOST_REQUIRE(::symlinkat("/etc/passwd", tree.root.get(), "link") == 0);
  tree.Remove("/sub/same");
  tree.File("/sub/same", "");
  BOOST_TEST(tree.Compare(manifest) == "different /sub/same: hard link of nothing, not of /other\n");
  tree.Remove("/sub/same");
  BOOST_REQUIRE(::linkat(tree.root.get(), "other", tree.root.get(), "sub/same", 0) == 0);
  BOOST_TEST(tree.Compare(manifest).empty());
  tree.Remove("/sub/file");
  BOOST_REQUIRE(::linkat(tree.root.get(), "other", tree.root.get(), "sub/file", 0) == 0);
  BOOST_TEST(tree.Compare(manifest) ==
             "different /sub/file: size is 0, not 7\n"
             "different /sub/file: hard link of /other, not of nothing\n");
}

BOOST_AUTO_TEST_CASE(directories_are_one_finding) {
  const Tree tree;
  const Manifest manifest = ParseManifest(Text(tree.Describe()), "m").value();
  tree.Directory("/new");
  tree.File("/new/a", "");
  tree.File("/sub/\xff", "");
  BOOST_TEST(tree.Compare(manifest) == "extra /new\nextra /sub/\\xff\n");
  tree.Remove("/new");
  tree.Remove("/sub");
  BOOST_TEST(tree.Compare(manifest) == "missing /sub\n");
}

BOOST_AUTO_TEST_CASE(the_first_twenty_and_the_count) {
  const Tree tree;
  const Manifest manifest = ParseManifest(Text(tree.Describe()), "m").value();
  for (int i = 99; i >= 0; --i) {
    tree.File("/x" + std::to_string(100 + i), "");
  }
  for (const unsigned threads : {1U, 8U}) {
    const Report report = CompareTree({.root = tree.root.get()}, manifest, threads).value();
    BOOST_TEST(report.count == 100U);
    BOOST_REQUIRE(report.first.size() == 20U);
    BOOST_TEST(report.first.front().path == "/x100");
    BOOST_TEST(report.first.back().path == "/x119");
  }
  const Result<> verified = VerifyTree({.root = tree.root.get()}, Text(manifest), "m", "rootfs");
  BOOST_REQUIRE(!verified.has_value());
  BOOST_TEST(verified.error().message.starts_with("rootfs is not as m says: extra /x100, extra /x101, "));
  BOOST_TEST(verified.error().message.ends_with("extra /x119, and 80 more, 100 in all"));
}

BOOST_AUTO_TEST_CASE(for_create) {
  const Tree tree;
  const std::string text = Text(tree.Describe());
  BOOST_TEST(VerifyTree({.root = tree.root.get()}, text, "m", "rootfs").has_value());
  BOOST_TEST(VerifyTree({.root = tree.root.get()}, "x", "m", "rootfs").error().message ==
             "m: line 1: must be \"nucleus-manifest 1\"");
  BOOST_TEST(VerifyTree({}, text, "m", "rootfs").error().message == "rootfs: bad file descriptor");
}

BOOST_AUTO_TEST_CASE(what_is_mounted_takes_the_place_of_what_is_there) {
  const Tree tree;
  const Tree other;
  other.File("/sub/file", "more");
  tree.Directory("/store");
  tree.Directory("/store/a");
  tree.File("/store/a/hidden", "");
  tree.File("/store/b", "");
  const Fd file{::openat(other.root.get(), "sub/file", O_PATH | O_CLOEXEC)};
  const TreeRoot with{.root = tree.root.get(), .grafts = {{"/store/a", other.root.get()}, {"/store/b", file.get()}}};
  for (const unsigned threads : {1U, 8U}) {
    const Manifest manifest = ParseManifest(Text(DescribeTree(with, false, threads).value()), "m").value();
    BOOST_TEST(manifest.Find("/store/a/sub/file") != kNone);
    BOOST_TEST(manifest.Find("/store/a/hidden") == kNone);
    BOOST_TEST(manifest.entries[manifest.Find("/store/b")].size == 4U);
    BOOST_TEST(CompareTree(with, manifest, threads).value().count == 0U);
    // Without what is mounted it is another tree.
    BOOST_TEST(CompareTree({.root = tree.root.get()}, manifest, threads).value().count != 0U);
  }
  const Manifest manifest = DescribeTree(with).value();
  other.File("/sub/file", "less");
  const Report report = CompareTree(with, ParseManifest(Text(manifest), "m").value()).value();
  BOOST_REQUIRE(report.count == 2U);
  BOOST_TEST(Line(report.first[0]) == "different /store/a/sub/file: content differs");
  BOOST_TEST(Line(report.first[1]) == "different /store/b: content differs");
}

BOOST_AUTO_TEST_CASE(a_place_to_mount_on_has_to_be_there) {
  const Tree tree;
  const Tree other;
  const auto with = [&](const char* path) {
    return TreeRoot{.root = tree.root.get(), .grafts = {{path, other.root.get()}}};
  };
  BOOST_TEST(DescribeTree(with("/nowhere")).error().message == "/nowhere: has no place in the tree");
  BOOST_TEST(DescribeTree(with("/link")).error().message ==
             "/link: its place is a link, and what is to be there a dir");
  BOOST_TEST(DescribeTree(with("/other")).error().message ==
             "/other: its place is a file, and what is to be there a dir");
  BOOST_TEST(CompareTree(with("/nowhere"), tree.Describe()).error().message ==
             "/nowhere is in the closure, and not in the manifest");
}

BOOST_AUTO_TEST_CASE(a_store_tells_no_links_and_no_owners) {
  const Tree tree;
  BOOST_REQUIRE(::fchownat(tree.root.get(), "sub/file", ::getuid(), ::getgid(), 0) == 0);
  const Manifest manifest = DescribeTree({.root = tree.root.get()}, true).value();
  const std::string text = Text(manifest);
  BOOST_TEST(text.starts_with("nucleus-manifest 1 store\n"));
  BOOST_TEST(text.find("hardlink") == std::string::npos);
  for (const Entry& entry : manifest.entries) {
    BOOST_TEST(entry.uid == 0U);
    BOOST_TEST(entry.gid == 0U);
  }
  const Manifest read = ParseManifest(text, "m").value();
  BOOST_TEST(Text(read) == text);
  if (::getuid() == 0) {
    BOOST_TEST(tree.Compare(read).empty());
    tree.Remove("/sub/same");
    tree.File("/sub/same", "");
    BOOST_TEST(tree.Compare(read).empty());
  }
  BOOST_TEST(ParseManifest("nucleus-manifest 1 store\n/ dir 0755 0:0\n/a fifo 0644 0:0\n/b hardlink /a\n", "m")
                 .error()
                 .message == "m: line 4: a hard link, and the first line says that none are told");
}

BOOST_AUTO_TEST_CASE(a_root_that_was_removed_does_not_pass) {
  const Tree tree;
  std::string empty = tree.path + "/sub/empty";
  BOOST_REQUIRE(::mkdir(empty.c_str(), 0755) == 0);
  const Fd root{::open(empty.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  const Manifest manifest = DescribeTree({.root = root.get()}, false, 1).value();
  BOOST_TEST(CompareTree({.root = root.get()}, manifest, 1).value().count == 0U);
  BOOST_REQUIRE(::rmdir(empty.c_str()) == 0);
  BOOST_TEST(CompareTree({.root = root.get()}, manifest, 1).value().count == 1U);
}

BOOST_AUTO_TEST_CASE(wide_and_deep) {
  const Tree tree;
  std::string path;
  for (int depth = 0; depth < 300; ++depth) {
    path += "/d";
    tree.Directory(path);
    tree.File(path + "/f", path);
  }
  for (int i = 0; i < 3000; ++i) {
    tree.File("/sub/" + std::to_string(i), "x");
  }
  const Manifest manifest = ParseManifest(Text(tree.Describe(4)), "m").value();
  BOOST_TEST(manifest.entries.size() == 7U + 600U + 3000U);
  BOOST_TEST(tree.Compare(manifest, 4).empty());
  tree.File(path + "/f", "");
  BOOST_TEST(tree.Compare(manifest, 4) == "different " + path + "/f: size is 0, not 600\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::attest
