// The reader itself: types, bounds, hostile text.

#include "oci-config/json_reader.h"

#include <boost/test/unit_test.hpp>

#include "oci-config/test_util.h"

namespace nucleus::oci {
namespace {

using testing::Config;
using testing::ErrorOf;
using testing::Good;
using testing::LinuxConfig;
using testing::ProcessConfig;
using testing::ResourcesConfig;
using testing::Strings;

std::string Repeat(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) {
    result += text;
  }
  return result;
}

template <class T>
std::string ReadAs(std::string_view json, T& out) {
  JsonReader in{json, "x"};
  Read(in, out);
  const Result<> end = in.Finish();
  return end ? "accepted" : end.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(json_reader)

BOOST_AUTO_TEST_CASE(integers_at_their_bounds) {
  struct Row {
    std::string_view text;
    std::string_view as_i32, as_i64, as_u16, as_u32, as_u64;
  };
  const std::string ok = "accepted";
  const std::string range = "x: out of range";
  const std::string type = "x: expected integer";
  const Row rows[] = {
      {"0", ok, ok, ok, ok, ok},
      {"-0", ok, ok, ok, ok, ok},
      {"-1", ok, ok, range, range, range},
      {"65535", ok, ok, ok, ok, ok},
      {"65536", ok, ok, range, ok, ok},
      {"2147483647", ok, ok, range, ok, ok},
      {"2147483648", range, ok, range, ok, ok},
      {"-2147483648", ok, ok, range, range, range},
      {"-2147483649", range, ok, range, range, range},
      {"4294967295", range, ok, range, ok, ok},
      {"4294967296", range, ok, range, range, ok},
      {"9223372036854775807", range, ok, range, range, ok},
      {"9223372036854775808", range, range, range, range, ok},
      {"-9223372036854775808", range, ok, range, range, range},
      {"-9223372036854775809", range, range, range, range, range},
      {"18446744073709551615", range, range, range, range, ok},
      {"18446744073709551616", range, range, range, range, range},
      {"1.5", type, type, type, type, type},
      {"1.0", type, type, type, type, type},
      {"1e3", type, type, type, type, type},
      {"-1.5", type, type, type, type, type},
      {"true", type, type, type, type, type},
      {"\"1\"", type, type, type, type, type},
      {"[1]", type, type, type, type, type},
      {"{}", type, type, type, type, type},
      {"null", type, type, type, type, type},
  };
  for (const Row& row : rows) {
    std::int32_t i32 = 0;
    std::int64_t i64 = 0;
    std::uint16_t u16 = 0;
    std::uint32_t u32 = 0;
    std::uint64_t u64 = 0;
    BOOST_TEST_CONTEXT("the text " << row.text) {
      BOOST_TEST(ReadAs(row.text, i32) == row.as_i32);
      BOOST_TEST(ReadAs(row.text, i64) == row.as_i64);
      BOOST_TEST(ReadAs(row.text, u16) == row.as_u16);
      BOOST_TEST(ReadAs(row.text, u32) == row.as_u32);
      BOOST_TEST(ReadAs(row.text, u64) == row.as_u64);
    }
  }
  std::uint64_t most = 0;
  BOOST_TEST(ReadAs("18446744073709551615", most) == "accepted");
  BOOST_TEST(most == UINT64_MAX);
  std::int64_t least = 0;
  BOOST_TEST(ReadAs("-9223372036854775808", least) == "accepted");
  BOOST_TEST(least == INT64_MIN);
}

BOOST_AUTO_TEST_CASE(other_types) {
  bool flag = false;
  BOOST_TEST(ReadAs("true", flag) == "accepted");
  BOOST_TEST(flag);
  BOOST_TEST(ReadAs("false", flag) == "accepted");
  BOOST_TEST(!flag);
  BOOST_TEST(ReadAs("0", flag) == "x: expected boolean");
  BOOST_TEST(ReadAs("\"true\"", flag) == "x: expected boolean");

  std::string text;
  BOOST_TEST(ReadAs(R"("a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")", text) == "accepted");
  BOOST_TEST(text == "a\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
  BOOST_TEST(ReadAs("\"\"", text) == "accepted");
  BOOST_TEST(text.empty());
  BOOST_TEST(ReadAs("7", text) == "x: expected string");

  Strings list;
  BOOST_TEST(ReadAs(R"(["a", "b\n", ""])", list) == "accepted");
  BOOST_TEST(list == (Strings{"a", "b\n", ""}), boost::test_tools::per_element());
  BOOST_TEST(ReadAs("[]", list) == "accepted");
  BOOST_TEST(list.empty());
  BOOST_TEST(ReadAs(R"(["a", 2])", list) == "x: [1]: expected string");
  BOOST_TEST(ReadAs(R"("a")", list) == "x: expected array");
  BOOST_TEST(ReadAs(R"({})", list) == "x: expected array");

  StringMap map;
  BOOST_TEST(ReadAs(R"({"k": "v", "": "w"})", map) == "accepted");
  BOOST_TEST(map.size() == 2U);
  BOOST_TEST(map["k"] == "v");
  BOOST_TEST(ReadAs(R"({"k": 1})", map) == R"(x: ["k"]: expected string)");
  BOOST_TEST(ReadAs(R"([])", map) == "x: expected object");
}

BOOST_AUTO_TEST_CASE(many_escaped_strings_stay_apart) {
  // Every one goes through the parser's one buffer; a view into it would show the last for all.
  std::string json = "[";
  for (int i = 0; i < 1000; ++i) {
    json += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\\n\"";
  }
  json += "]";
  Strings list;
  BOOST_TEST(ReadAs(json, list) == "accepted");
  BOOST_REQUIRE(list.size() == 1000U);
  for (int i = 0; i < 1000; ++i) {
    BOOST_TEST(list[static_cast<std::size_t>(i)] == std::to_string(i) + "\n");
  }
}

BOOST_AUTO_TEST_CASE(errors_name_the_path) {
  BOOST_TEST(ErrorOf(ResourcesConfig(R"("memory": {"limit": "1G"})")) ==
             "config.json: linux.resources.memory.limit: expected integer");
  BOOST_TEST(ErrorOf(Config(R"("mounts": [{"destination": "/a"}, {"destination": "/b", "options": ["ro", 1]}])")) ==
             "config.json: mounts[1].options[1]: expected string");
  BOOST_TEST(ErrorOf(Config(R"("annotations": {"a.b": 1})")) == R"(config.json: annotations["a.b"]: expected string)");
  BOOST_TEST(ErrorOf("[]") == "config.json: expected object");
  BOOST_TEST(ErrorOf("3") == "config.json: expected object");
}

BOOST_AUTO_TEST_CASE(the_first_error_is_the_one_reported) {
  BOOST_TEST(ErrorOf(R"({"ociVersion": 1, "root": 2, "linux": 3})") == "config.json: ociVersion: expected string");
}

BOOST_AUTO_TEST_CASE(malformed_text_names_line_and_column) {
  struct Row {
    std::string_view json;
    std::string_view begins;
  };
  const Row rows[] = {
      {"", "config.json:1:1: "},
      {"   ", "config.json:1:"},
      {"{", "config.json:1:"},
      {"{\n  \"a\": ,\n}", "config.json:2:"},
      {"{\"a\": tru", "config.json:1:"},
      {"{} {}", "config.json:1:"},
      {"{}x", "config.json:1:"},
      {"{\"a\": 01}", "config.json:1:"},
      {"{\"a\": 1,}", "config.json:1:"},
      {"{'a': 1}", "config.json:1:"},
      {"{\"a\": 1 /* no */}", "config.json:1:"},
      {"{\"a\": \"\n\"}", "config.json:1:"},
      {"{\"a\": \"\xff\xfe\"}", "config.json:1:"},
      {"{\"a\": \"\\x\"}", "config.json:1:"},
      {"\xef\xbb\xbf{}", "config.json:1:"},
      {"NaN", "config.json:1:"},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT("the text " << row.json) {
      const std::string error = ErrorOf(row.json);
      BOOST_TEST(error.starts_with(row.begins));
      BOOST_TEST(error.find('\n') == std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_truncation_is_an_error) {
  const std::string whole = Config(
      R"("process": {"args": ["a\u00e9"], "cwd": "/", "user": {"uid": 1}}, "linux": {"namespaces": [{"type": "pid"}]})");
  BOOST_TEST(ErrorOf(whole) == "accepted");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    BOOST_TEST(ErrorOf(whole.substr(0, length)) != "accepted");
  }
}

BOOST_AUTO_TEST_CASE(nul_in_a_string_is_refused) {
  BOOST_TEST(ErrorOf(Config(R"("hostname": "a\u0000b")")).ends_with(": a string with a NUL character"));
  BOOST_TEST(ErrorOf(Config(R"("a\u0000": 1)")).ends_with(": a string with a NUL character"));
  BOOST_TEST(ErrorOf(Config(std::string_view{"\"hostname\": \"a\0b\"", 17})) != "accepted");
}

BOOST_AUTO_TEST_CASE(invalid_utf8_is_refused) {
  // A surrogate, an overlong form, beyond U+10FFFF: what yajl lets through, and a lone byte, which it does not.
  for (const std::string_view bytes : {"\xED\xA0\x80", "\xE0\x80\xAF", "\xF4\x90\x80\x80"}) {
    const std::string why = ": a string that is not valid UTF-8";
    BOOST_TEST(ErrorOf(Config("\"hostname\": \"" + std::string{bytes} + "\"")).ends_with(why));
    BOOST_TEST(ErrorOf(Config("\"" + std::string{bytes} + "\": 1")).ends_with(why));
  }
  BOOST_TEST(ErrorOf(Config("\"hostname\": \"\x80\"")) != "accepted");
  BOOST_TEST(ErrorOf(Config("\"a\": \"\xEE\x80\x80 \xF0\x9F\x98\x80\"")) == "accepted");
}

BOOST_AUTO_TEST_CASE(depth_is_bounded) {
  // The object itself is one level.
  const std::size_t most = kMaxJsonDepth - 1;
  BOOST_TEST(ErrorOf(Config("\"x\": " + Repeat("[", most) + Repeat("]", most))) == "accepted");
  BOOST_TEST(
      ErrorOf(Config("\"x\": " + Repeat("[", most + 1) + Repeat("]", most + 1))).ends_with(": nested too deeply"));
  BOOST_TEST(ErrorOf(Config("\"x\": " + Repeat("{\"a\":", 100000))).ends_with(": nested too deeply"));
}

BOOST_AUTO_TEST_CASE(size_is_bounded) {
  std::string json = Config("");
  json += std::string(kMaxConfigBytes - json.size(), ' ');
  BOOST_TEST(ErrorOf(json) == "accepted");
  json += ' ';
  BOOST_TEST(ErrorOf(json) == "config.json: larger than 16 MiB");
}

BOOST_AUTO_TEST_CASE(number_of_values_is_bounded) {
  BOOST_TEST(ErrorOf(Config("\"x\": [" + Repeat("0,", 1000000) + "0]")) == "accepted");
  BOOST_TEST(ErrorOf(Config("\"x\": [" + Repeat("0,", 1100000) + "0]")).ends_with(": too many values"));
}

BOOST_AUTO_TEST_CASE(errors_are_one_bounded_line) {
  const std::string key(100000, 'k');
  const std::string error = ErrorOf(Config("\"annotations\": {\"" + key + "\\n\\u001b[31m\": 1}"));
  BOOST_TEST(error.size() < 1000U);
  const std::string control = ErrorOf(Config(R"("annotations": {"a\n\u001b[31m\u007f": 1})"));
  BOOST_TEST(control == R"(config.json: annotations["a??[31m?"]: expected string)");
  const std::string value(100000, 'v');
  BOOST_TEST(ErrorOf(LinuxConfig("\"namespaces\": [{\"type\": \"" + value + "\"}]")).size() < 1000U);
}

BOOST_AUTO_TEST_CASE(unknown_properties_are_ignored) {
  BOOST_TEST(ErrorOf(Config(R"("windows": {"x": [{"y": null}]}, "vm": 3, "zos": [], "$schema": "x", "": {}, "linux":
      {"future": {"a": [1, 2, {"b": "c"}]}, "resources": {"future": 1, "memory": {"future": [[]]}}})")) == "accepted");
  const Spec spec = Good(ProcessConfig(R"("commandLine": "x", "user": {"username": "joe", "uid": 5}, "cwd2": {})"));
  BOOST_TEST(spec.process->user.uid == 5U);
}

BOOST_AUTO_TEST_CASE(null_means_absent) {
  const Spec spec = Good(R"({"ociVersion": "1.0.2-dev", "root": {"path": "r", "readonly": null}, "process": null,
      "hostname": null, "mounts": null, "hooks": null, "annotations": null, "linux": null})");
  BOOST_TEST(!spec.process.has_value());
  BOOST_TEST(!spec.root.readonly);
  const Spec inner = Good(ResourcesConfig(R"("memory": {"swappiness": null, "limit": null}, "pids": null,
      "cpu": {"quota": null, "cpus": null}, "devices": null, "blockIO": null, "unified": null)"));
  BOOST_REQUIRE(inner.linux_.resources.has_value());
  BOOST_REQUIRE(inner.linux_.resources->memory.has_value());
  BOOST_TEST(!inner.linux_.resources->memory->swappiness.has_value());
  BOOST_TEST(!inner.linux_.resources->pids_limit.has_value());
  BOOST_TEST(!inner.linux_.resources->cpu->quota.has_value());
}

BOOST_AUTO_TEST_CASE(null_does_not_stand_for_what_is_required) {
  BOOST_TEST(ErrorOf(R"({"ociVersion": null, "root": {"path": "r"}})") == "config.json: ociVersion: required");
  BOOST_TEST(ErrorOf(R"({"ociVersion": "1.0.0", "root": null})") == "config.json: root: required");
  BOOST_TEST(ErrorOf(Config(R"("mounts": [null])")) == "config.json: mounts[0]: expected object");
}

BOOST_AUTO_TEST_CASE(a_property_given_twice_counts_the_last_time) {
  const Spec spec = Good(Config(R"("hostname": "a", "hostname": "b", "mounts": [{"destination": "/x"}],
      "mounts": [{"destination": "/y", "destination": "/z"}])"));
  BOOST_TEST(spec.hostname == "b");
  BOOST_REQUIRE(spec.mounts.size() == 1U);
  BOOST_TEST(spec.mounts[0].destination == "/z");
  // The whole object is the later one: nothing of the first shines through.
  const Spec twice = Good(Config(R"("process": {"cwd": "/", "args": ["a"], "noNewPrivileges": true, "env": ["A=1"]},
      "process": {"cwd": "/b", "args": ["c"]})"));
  BOOST_TEST(!twice.process->no_new_privileges);
  BOOST_TEST(twice.process->env.empty());
  BOOST_TEST(twice.process->args == Strings{"c"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
