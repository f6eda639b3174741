// The files that commands leave to each other and to callers: ids, state directories, filters, pid files.

#include <fcntl.h>
#include <linux/bpf_common.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "base/test_directory.h"
#include "runtime/container/container.h"
#include "runtime/container/filter_file.h"
#include "runtime/container/outputs.h"
#include "runtime/container/state_dir.h"

namespace nucleus::container {
namespace {

namespace fs = std::filesystem;

class Scratch : private TestDirectory {
 public:
  [[nodiscard]] std::string operator/(const std::string& path) const {
    return top + "/" + path;
  }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator{top}, fs::directory_iterator{}));
  }
};

confine::SeccompProgram Program(std::size_t length) {
  confine::SeccompProgram program;
  for (std::size_t i = 0; i < length; ++i) {
    program.filter.push_back({.code = static_cast<std::uint16_t>(i), .jt = 1, .jf = 2, .k = 0xFFFFFFFF});
  }
  program.flags = 0xA5A5A5A5;
  program.listener = true;
  return program;
}

template <class T>
std::string Message(const Result<T>& result) {
  return result ? "accepted" : result.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(container_ids)

BOOST_AUTO_TEST_CASE(valid) {
  for (const char* id : {"a", "A", "0", "_", "+", "-", "...", "..a", ".a", "a.b", "c-1_2+3.4",
                         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}) {
    BOOST_TEST(ValidateId(id).has_value(), id);
  }
  BOOST_TEST(ValidateId(std::string(255, 'x')).has_value());
}

BOOST_AUTO_TEST_CASE(invalid) {
  for (const std::string& id :
       {std::string{}, std::string{"."}, std::string{".."}, std::string{"a/b"}, std::string{"/"}, std::string{"../x"},
        std::string{"a b"}, std::string{"a\n"}, std::string{"a:b"}, std::string{"\xc3\xa9"}, std::string("a\0b", 3),
        std::string{"a*"}, std::string{"~"}, std::string(256, 'x')}) {
    BOOST_TEST(Message(ValidateId(id)) == "invalid container ID format");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(filter_file)

BOOST_AUTO_TEST_CASE(round_trip) {
  for (const std::size_t length : {1UL, 2UL, 1000UL, std::size_t{BPF_MAXINSNS}}) {
    const confine::SeccompProgram before = Program(length);
    const Result<confine::SeccompProgram> after = ParseFilter(FormatFilter(before), "f");
    BOOST_REQUIRE(after.has_value());
    BOOST_TEST(after->flags == before.flags);
    BOOST_TEST(after->listener == before.listener);
    BOOST_REQUIRE(after->filter.size() == length);
    BOOST_TEST(after->filter[length - 1].code == before.filter[length - 1].code);
    BOOST_TEST(after->filter[length - 1].k == 0xFFFFFFFFU);
    BOOST_TEST(FormatFilter(*after) == FormatFilter(before));
  }
}

BOOST_AUTO_TEST_CASE(hostile_bytes) {
  const std::string good = FormatFilter(Program(3));
  const std::string refused = "read f: invalid argument";
  for (std::size_t length = 0; length < good.size(); ++length) {
    BOOST_TEST(Message(ParseFilter(std::string_view{good}.substr(0, length), "f")) == refused);
  }
  BOOST_TEST(Message(ParseFilter(good + "x", "f")) == refused);
  BOOST_TEST(Message(ParseFilter(good + std::string(8, 'x'), "f")) == refused);
  std::string magic = good;
  magic[0] = 'N';
  BOOST_TEST(Message(ParseFilter(magic, "f")) == refused);
  BOOST_TEST(Message(ParseFilter(FormatFilter(Program(0)), "f")) == refused);
  BOOST_TEST(Message(ParseFilter(FormatFilter(Program(BPF_MAXINSNS + 1)), "f")) == refused);
  // A length whose bytes overflow.
  for (const std::uint64_t length :
       {std::uint64_t{1} << 61, (std::uint64_t{1} << 61) + 3, UINT64_MAX, std::uint64_t{4}}) {
    std::string bytes = good;
    std::memcpy(bytes.data() + 16, &length, sizeof length);
    BOOST_TEST(Message(ParseFilter(bytes, "f")) == refused);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(pid_file)

BOOST_AUTO_TEST_CASE(written_whole) {
  const Scratch scratch;
  BOOST_TEST(Message(WritePidFile("", 5)) == "accepted");
  BOOST_TEST(Message(WritePidFile(scratch / "pid", 4194304)) == "accepted");
  BOOST_TEST(ReadFile(scratch / "pid", 100).value() == "4194304");
  // Replaced, and nothing else left.
  BOOST_TEST(Message(WritePidFile(scratch / "pid", 7)) == "accepted");
  BOOST_TEST(ReadFile(scratch / "pid", 100).value() == "7");
  BOOST_TEST(scratch.entries() == 1U);
}

BOOST_AUTO_TEST_CASE(failures_leave_nothing) {
  const Scratch scratch;
  BOOST_TEST(WritePidFile(scratch / "missing/pid", 7).error().code == ENOENT);
  fs::create_directory(scratch / "directory");
  BOOST_TEST(!WritePidFile(scratch / "directory", 7).has_value());
  BOOST_TEST(scratch.entries() == 1U);
}

BOOST_AUTO_TEST_CASE(links_are_not_written_through) {
  const Scratch scratch;
  std::ofstream{scratch / "victim"} << "old";
  fs::create_symlink("victim", scratch / "pid");
  BOOST_TEST(Message(WritePidFile(scratch / "pid", 7)) == "accepted");
  BOOST_TEST(ReadFile(scratch / "victim", 100).value() == "old");
  BOOST_TEST(!fs::is_symlink(scratch / "pid"));
  fs::create_symlink("victim", scratch / ".other");
  // The temporary name, too: what stands there is taken away.
  BOOST_TEST(Message(WritePidFile(scratch / "other", 7)) == "accepted");
  BOOST_TEST(ReadFile(scratch / "victim", 100).value() == "old");
  BOOST_TEST(!fs::is_symlink(scratch / "other"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(terminal_options)

BOOST_AUTO_TEST_CASE(rules) {
  const auto check = [](bool terminal, bool foreground, const char* socket) {
    IoOptions io;
    io.foreground = foreground;
    io.console_socket = socket;
    return Message(CheckTerminalOptions(terminal, io));
  };
  const std::string needed = "cannot allocate tty if runc will detach without setting console socket";
  const std::string unwanted = "cannot use console socket if runc will not detach or allocate tty";
  BOOST_TEST(check(true, false, "/s") == "accepted");
  BOOST_TEST(check(true, true, "") == "accepted");
  BOOST_TEST(check(false, false, "") == "accepted");
  BOOST_TEST(check(false, true, "") == "accepted");
  BOOST_TEST(check(true, false, "") == needed);
  BOOST_TEST(check(false, false, "/s") == unwanted);
  BOOST_TEST(check(true, true, "/s") == unwanted);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(state_dir)

BOOST_AUTO_TEST_CASE(made_once) {
  const Scratch scratch;
  const std::string root = scratch / "deep/run/nucleus";
  {
    Result<StateDir> made = StateDir::Make(root, "c1");
    BOOST_REQUIRE(made.has_value());
    struct stat status{};
    BOOST_REQUIRE(::stat((root + "/c1").c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0700U);
    BOOST_REQUIRE(::stat(root.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0700U);
    BOOST_TEST(Message(StateDir::Make(root, "c1")) == "container with given ID already exists");
    BOOST_TEST(made->Remove().has_value());
  }
  BOOST_TEST(!fs::exists(root + "/c1"));
  BOOST_TEST(StateDir::Make(root, "c1").has_value());
}

BOOST_AUTO_TEST_CASE(missing) {
  const Scratch scratch;
  BOOST_TEST(Message(StateDir::Open(scratch / "none", "c1")) == "container does not exist");
  fs::create_directory(scratch / "c1");
  const Result<StateDir> empty = StateDir::Open(scratch / "", "c1");
  BOOST_REQUIRE(empty.has_value());
  BOOST_TEST(Message(empty->ReadState()) == "container does not exist");
  // A link in the place of a state directory leads nowhere.
  fs::create_directory_symlink("c1", scratch / "c2");
  BOOST_TEST(!StateDir::Open(scratch / "", "c2").has_value());
}

BOOST_AUTO_TEST_CASE(state_is_replaced_whole) {
  const Scratch scratch;
  Result<StateDir> made = StateDir::Make(scratch / "root", "c1");
  BOOST_REQUIRE(made.has_value());
  oci::State state;
  state.id = "c1";
  state.bundle = "/b";
  state.pid = 5;
  BOOST_TEST(made->WriteState(state).has_value());
  BOOST_TEST(made->ReadState().value().pid == 5);
  state.pid = 6;
  BOOST_TEST(made->WriteState(state).has_value());
  BOOST_TEST(made->ReadState().value().pid == 6);
  struct stat status{};
  BOOST_REQUIRE(::stat((scratch / "root/c1/state.json").c_str(), &status) == 0);
  BOOST_TEST((status.st_mode & 0777) == 0600U);
  BOOST_TEST(std::distance(fs::directory_iterator{scratch / "root/c1"}, fs::directory_iterator{}) == 1);
  // What a crash left under the temporary name does not stand in the way, nor in the way of removal.
  std::ofstream{scratch / "root/c1/.state.json.new"} << "{\"half";
  BOOST_TEST(made->WriteState(state).has_value());
  BOOST_TEST(made->ReadState().value().pid == 6);
  std::ofstream{scratch / "root/c1/.state.json.new"} << "{\"half";
  std::ofstream{scratch / "root/c1/config.json"} << "{}";
  BOOST_TEST(made->Remove().has_value());
  BOOST_TEST(!fs::exists(scratch / "root/c1"));
}

BOOST_AUTO_TEST_CASE(damaged_state_is_an_error) {
  const Scratch scratch;
  Result<StateDir> made = StateDir::Make(scratch / "root", "c1");
  BOOST_REQUIRE(made.has_value());
  for (const char* text : {"", "{", "{}", "[]", "null", "{\"version\": 99}"}) {
    BOOST_REQUIRE(made->WriteFile(kStateFile, text).has_value());
    const Result<oci::State> state = made->ReadState();
    BOOST_REQUIRE(!state.has_value());
    BOOST_TEST(state.error().message.find("state.json") != std::string::npos);
    BOOST_TEST(state.error().message != "container does not exist");
  }
  BOOST_REQUIRE(made->WriteFile(kStateFile, std::string(2 << 20, ' ')).has_value());
  BOOST_TEST(made->ReadState().error().code == EFBIG);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(status_names)

BOOST_AUTO_TEST_CASE(the_specifications) {
  BOOST_TEST(StatusName(Status::kCreating) == "creating");
  BOOST_TEST(StatusName(Status::kCreated) == "created");
  BOOST_TEST(StatusName(Status::kRunning) == "running");
  BOOST_TEST(StatusName(Status::kPaused) == "paused");
  BOOST_TEST(StatusName(Status::kStopped) == "stopped");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::container
