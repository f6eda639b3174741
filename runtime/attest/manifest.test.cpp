// The manifest's text: what is written is read back, and nothing else is read.

#include "runtime/attest/manifest.h"

#include <boost/test/unit_test.hpp>

#include "runtime/attest/escape.h"

namespace nucleus::attest {
namespace {

const std::string kDigest = Sha256Hex("");
const std::string kRoot = "/ dir 0755 0:0\n";

std::string Text(const std::string& lines) {
  return std::string{kManifestHeader} + lines;
}

std::string Again(const std::string& text) {
  const Result<Manifest> manifest = ParseManifest(text, "m");
  if (!manifest) {
    return manifest.error().message;
  }
  std::string again{kManifestHeader};
  for (const Entry& entry : manifest->entries) {
    AppendEntry(again, *manifest, entry);
  }
  return again;
}

// Of a manifest whose third line is `line`.
std::string ErrorOf(const std::string& line) {
  const Result<Manifest> manifest = ParseManifest(Text(kRoot + line + "\n"), "m");
  return manifest ? "accepted" : manifest.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(attest_manifest)

BOOST_AUTO_TEST_CASE(escapes) {
  BOOST_TEST(Escape("/usr/lib/a=b:c") == "/usr/lib/a=b:c");
  BOOST_TEST(Escape("a b\n\\\x7f\xff\xc3\xa4") == "a\\x20b\\x0a\\x5c\\x7f\\xff\\xc3\\xa4");
  std::string every;
  for (int byte = 1; byte < 256; ++byte) {
    every += static_cast<char>(byte);
  }
  BOOST_TEST(Unescape(Escape(every)).value() == every);
  for (const char* text : {"\\", "\\x", "\\x0", "\\x0A", "\\x0g", "\\n", "\\\\", "\\x41", "\\x2f", "\\x00", " ", "\n",
                           "\x7f", "\xc3\xa4", "a\\x2"}) {
    BOOST_TEST(!Unescape(text).has_value(), text);
  }
}

BOOST_AUTO_TEST_CASE(round_trip_of_every_type) {
  const std::string text =
      Text(kRoot + "/bin dir 1777 0:0 xattr:user.a=6162\n" + "/bin/box file 4755 0:0 1131168 " + kDigest +
           " verity=sha256:" + kDigest + " xattr:security.capability=01 xattr:user.=\n" + "/bin/sh link 0:0 box\n" +
           "/bin/sh2 hardlink /bin/box\n" + "/dev-null char 0666 0:0 1:3 xattr:trusted.\\x20==\n" +
           "/dev-sda block 0660 0:6 4095:1048575\n" + "/fifo fifo 0600 4294967294:4294967294\n" +
           "/odd\\x0a\\xff\\x5c link 0:0 \\x20 xattr:trusted.long=sha256:" + kDigest + "\n" +
           "/sh2 hardlink /bin/sh\n" + "/socket socket 0777 0:0\n");
  BOOST_TEST(Again(text) == text);
  const Manifest manifest = ParseManifest(text, "m").value();
  BOOST_REQUIRE(manifest.entries.size() == 11U);
  const Entry& box = manifest.entries[2];
  BOOST_TEST(box.path == "/bin/box");
  BOOST_TEST((box.type == Type::kFile));
  BOOST_TEST(box.mode == 04755U);
  BOOST_TEST(box.size == 1131168U);
  BOOST_TEST(Hex(box.content) == kDigest);
  BOOST_TEST(Hex(box.verity.value()) == kDigest);
  BOOST_TEST(box.parent == 1U);
  BOOST_REQUIRE(box.xattrs.size() == 2U);
  BOOST_TEST(box.xattrs[1].name == "user.");
  BOOST_TEST(box.xattrs[1].value.empty());
  BOOST_TEST(manifest.entries[4].first == 2U);
  BOOST_TEST(manifest.Described(manifest.entries[4]).size == 1131168U);
  BOOST_TEST(manifest.entries[8].path == "/odd\n\xff\\");
  BOOST_TEST(manifest.entries[8].target == " ");
  BOOST_TEST(manifest.Find("/socket") == 10U);
  BOOST_TEST(manifest.Find("/socke") == kNone);
  BOOST_TEST(manifest.Find("") == kNone);
}

BOOST_AUTO_TEST_CASE(values_of_xattrs) {
  BOOST_TEST(XattrValue({"\0\xff", 2}) == "00ff");
  BOOST_TEST(XattrValue("").empty());
  BOOST_TEST(XattrValue(std::string(kLongestXattr, 'a')).size() == 2 * kLongestXattr);
  BOOST_TEST(XattrValue(std::string(kLongestXattr + 1, 'a')) ==
             "sha256:" + Sha256Hex(std::string(kLongestXattr + 1, 'a')));
}

BOOST_AUTO_TEST_CASE(the_text_as_a_whole) {
  const auto error = [](const std::string& text) {
    const Result<Manifest> manifest = ParseManifest(text, "m");
    return manifest ? "accepted" : manifest.error().message;
  };
  BOOST_TEST(error(Text(kRoot)) == "accepted");
  BOOST_TEST(error("") == "m: line 1: must be \"nucleus-manifest 1\"");
  BOOST_TEST(error("nucleus-manifest 2\n" + kRoot) == "m: line 1: must be \"nucleus-manifest 1\"");
  BOOST_TEST(error("nucleus-manifest 1") == "m: line 1: must be \"nucleus-manifest 1\"");
  BOOST_TEST(error("nucleus-manifest 1\r\n" + kRoot) == "m: line 1: must be \"nucleus-manifest 1\"");
  BOOST_TEST(error(Text("")) == "m: line 1: no entries");
  BOOST_TEST(error(Text("/ dir 0755 0:0")) == "m: line 2: the line has no end");
  BOOST_TEST(error(Text("\n")) == "m: line 2: the path does not begin with /");
  BOOST_TEST(error(Text("/a dir 0755 0:0\n")) == "m: line 2: the first entry must be the directory /");
  BOOST_TEST(error(Text("/ fifo 0755 0:0\n")) == "m: line 2: the first entry must be the directory /");
  BOOST_TEST(error(Text("/ hardlink /\n")) == "m: line 2: a hard link of /, which does not stand before it");
}

BOOST_AUTO_TEST_CASE(every_prefix_is_refused) {
  const std::string text = Text(kRoot + "/a file 0644 0:0 0 " + kDigest + " xattr:user.a=00\n");
  const std::size_t root = Text(kRoot).size();
  BOOST_TEST(ParseManifest(text, "m").has_value());
  for (std::size_t length = 0; length < text.size(); ++length) {
    BOOST_TEST(ParseManifest(text.substr(0, length), "m").has_value() == (length == root), length);
  }
}

BOOST_AUTO_TEST_CASE(order_and_places) {
  const auto error = [](const std::string& lines) {
    const Result<Manifest> manifest = ParseManifest(Text(kRoot + lines), "m");
    return manifest ? "accepted" : manifest.error().message;
  };
  // By bytes: '-' comes before '/'.
  BOOST_TEST(error("/a dir 0755 0:0\n/a-b fifo 0600 0:0\n/a/b fifo 0600 0:0\n") == "accepted");
  BOOST_TEST(error("/b fifo 0600 0:0\n/a fifo 0600 0:0\n") == "m: line 4: the paths are not sorted");
  BOOST_TEST(error("/a fifo 0600 0:0\n/a fifo 0600 0:0\n") == "m: line 4: the path is there twice");
  BOOST_TEST(error("/ dir 0755 0:0\n") == "m: line 3: the path is there twice");
  BOOST_TEST(error("/a fifo 0600 0:0\n/\\xff fifo 0600 0:0\n") == "accepted");
  BOOST_TEST(error("/a/b fifo 0600 0:0\n") == "m: line 3: the directory that /a/b is in is missing");
  BOOST_TEST(error("/a fifo 0600 0:0\n/a/b fifo 0600 0:0\n") == "m: line 4: the directory that /a/b is in is missing");
  BOOST_TEST(error("/a fifo 0600 0:0\n/b hardlink /a\n/b/c fifo 0600 0:0\n") ==
             "m: line 5: the directory that /b/c is in is missing");
  BOOST_TEST(error("/a fifo 0600 0:0\n/b hardlink /a\n/c hardlink /b\n") ==
             "m: line 5: a hard link of /b, which is not the first of its names");
  BOOST_TEST(error("/a hardlink /b\n/b fifo 0600 0:0\n") ==
             "m: line 3: a hard link of /b, which does not stand before it");
  BOOST_TEST(error("/a hardlink /a\n") == "m: line 3: a hard link of /a, which does not stand before it");
  BOOST_TEST(error("/a hardlink /\n") == "m: line 3: a hard link of /, which is a directory");
}

BOOST_AUTO_TEST_CASE(bad_paths) {
  for (const char* path : {"a", "./a", "../a", "//", "/a/", "//a", "/.", "/..", "/a/.", "/a/..", "/../a", "/./a"}) {
    BOOST_TEST(ErrorOf(std::string{path} + " dir 0755 0:0").starts_with("m: line 3: the path"), path);
  }
  BOOST_TEST(ErrorOf("/" + std::string(256, 'a') + " dir 0755 0:0").starts_with("m: line 3: the path has a component"));
  BOOST_TEST(ErrorOf("/" + std::string(255, 'a') + " dir 0755 0:0") == "accepted");
  std::string path;
  while (path.size() < 4096) {
    path += "/aaaaaaaaaaaaaaa";
  }
  BOOST_TEST(ErrorOf(path + " dir 0755 0:0") == "m: line 3: the path is too long");
  BOOST_TEST(ErrorOf("/a\\x00 dir 0755 0:0") == "m: line 3: path: a NUL byte in a name");
  BOOST_TEST(ErrorOf("/\\x61 dir 0755 0:0") == "m: line 3: path: an escape of a byte that stands for itself");
  BOOST_TEST(ErrorOf("/a\tb dir 0755 0:0") == "m: line 3: path: a byte that must be escaped");
}

BOOST_AUTO_TEST_CASE(bad_fields) {
  for (const std::string& facts : std::initializer_list<std::string>{
           "",
           "dir",
           "DIR 0755 0:0",
           "dir 755 0:0",
           "dir 00755 0:0",
           "dir 0788 0:0",
           "dir  0755 0:0",
           "dir 0755 0:0 ",
           "dir 0755",
           "dir 0755 0",
           "dir 0755 :",
           "dir 0755 0:",
           "dir 0755 00:0",
           "dir 0755 -1:0",
           "dir 0755 +1:0",
           "dir 0755 4294967295:0",
           "dir 0755 0:4294967296",
           "dir 0755 0:0:0",
           "dir 0755 0:0 x",
           "dir 0755 0:0 12",
           "file 0644 0:0",
           "file 0644 0:0 1",
           "file 0644 0:0 01 " + kDigest,
           "file 0644 0:0 -1 " + kDigest,
           "file 0644 0:0 9223372036854775808 " + kDigest,
           "file 0644 0:0 1 " + kDigest.substr(1),
           "file 0644 0:0 1 E" + kDigest.substr(1),
           "file 0644 0:0 1 " + kDigest + "0",
           "file 0644 0:0 1 " + kDigest + " verity=" + kDigest,
           "file 0644 0:0 1 " + kDigest + " verity=sha256:" + kDigest + " verity=sha256:" + kDigest,
           "dir 0755 0:0 verity=sha256:" + kDigest,
           "link 0777 0:0 x",
           "link 0:0",
           "link 0:0 ",
           "link 0:0 a b",
           "char 0666 0:0",
           "char 0666 0:0 1",
           "char 0666 0:0 4096:0",
           "block 0666 0:0 0:1048576",
           "fifo 0600 0:0 1:3",
           "socket 0600",
           "hardlink",
           "hardlink x",
           "hardlink / x",
           "door 0600 0:0"}) {
    BOOST_TEST(ErrorOf("/a " + facts).starts_with("m: line 3: "), facts);
  }
}

BOOST_AUTO_TEST_CASE(bad_xattrs) {
  for (const std::string& xattrs : std::initializer_list<std::string>{
           "xattr:", "xattr:user.a", "xattr:=00", "xattr:user=00", "xattr:user.a=0", "xattr:user.a=0G",
           "xattr:user.a=AB", "xattr:user.a=sha256:00", "xattr:user.a=" + std::string(130, '0'),
           "xattr:user.a=00 xattr:user.a=00", "xattr:user.b=00 xattr:user.a=00", "xattr:user.a=00 x",
           "xattr:user.a=00  xattr:user.b=00", "xattr:security.selinux=00", "xattr:security.evm=00",
           "xattr:user." + std::string(251, 'a') + "=00"}) {
    BOOST_TEST(ErrorOf("/a dir 0755 0:0 " + xattrs).starts_with("m: line 3: "), xattrs);
  }
  BOOST_TEST(ErrorOf("/a dir 0755 0:0 xattr:user." + std::string(250, 'a') + "=00") == "accepted");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::attest
