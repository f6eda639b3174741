#include "runtime/evidence/chain.h"

#include <boost/test/unit_test.hpp>

#include "base/sha256.h"

namespace {

using namespace nucleus;
using evidence::ChainKind;

std::string Line(const evidence::Link& link, std::string_view kind = "killed", const std::string& id = "box",
                 ChainKind chain = ChainKind::kFile, std::uint64_t lost = 0) {
  return evidence::FormatLine(chain, link, lost, "2026-01-01T00:00:00.000000000Z",
                              {.kind = kind, .id = id, .words = {}, .numbers = {{"pid", 7}}, .evidence = nullptr});
}

// A file as its writers would have made it.
std::string File(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) {
    const auto link = evidence::FindLink(text, true);
    BOOST_TEST_REQUIRE(link.has_value());
    text += (link->open_line ? "\n" : "") + Line(*link);
  }
  return text;
}

std::string Digest(std::string line) {
  line.pop_back();
  return Sha256Hex(line);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(event_chain)

BOOST_AUTO_TEST_CASE(a_line_to_the_byte) {
  const oci::StringMap evidence = {{"mode", "agent"}};
  const std::string line = evidence::FormatLine(ChainKind::kFile, {.sequence = 3}, 2, "T",
                                                {.kind = "failed",
                                                 .id = "box",
                                                 .words = {{"error", "a \"b\"\n"}},
                                                 .numbers = {{"pid", 7}},
                                                 .evidence = &evidence});
  BOOST_TEST(line == "{\"v\":1,\"chain\":\"file\",\"seq\":3,\"prev\":\"" + std::string(64, '0') +
                         "\",\"time\":\"T\",\"id\":\"box\",\"event\":\"failed\",\"lost\":2,"
                         "\"error\":\"a \\\"b\\\"\\n\",\"pid\":7,\"evidence\":{\"mode\":\"agent\"}}\n");
}

BOOST_AUTO_TEST_CASE(lines_are_bounded) {
  const std::string line = evidence::FormatLine(ChainKind::kFile, {}, 0, "T",
                                                {.kind = "failed",
                                                 .id = std::string(100000, 'x'),
                                                 .words = {{"error", std::string(100000, '"')}},
                                                 .numbers = {},
                                                 .evidence = nullptr});
  BOOST_TEST(line.size() < evidence::kMaxLine);
}

BOOST_AUTO_TEST_CASE(the_link_of_a_file) {
  const auto first = evidence::FindLink("", true);
  BOOST_TEST_REQUIRE(first.has_value());
  BOOST_TEST(first->sequence == 0U);
  BOOST_TEST(first->previous == evidence::kNoLine);
  const std::string text = File(2);
  const auto third = evidence::FindLink(text, true);
  BOOST_TEST_REQUIRE(third.has_value());
  BOOST_TEST(third->sequence == 2U);
  BOOST_TEST(third->mended == 0U);
  BOOST_TEST(third->previous == Digest(text.substr(text.find('\n') + 1)));
}

BOOST_AUTO_TEST_CASE(the_link_of_a_torn_file) {
  const std::string whole = File(2);
  // Without its newline alone a line is whole.
  const auto open = evidence::FindLink(whole.substr(0, whole.size() - 1), true);
  BOOST_TEST_REQUIRE(open.has_value());
  BOOST_TEST(open->open_line);
  BOOST_TEST(open->mended == 0U);
  for (std::size_t cut = 2; cut + 1 < whole.size() / 2; ++cut) {
    std::string text = whole.substr(0, whole.size() - cut);
    const auto link = evidence::FindLink(text, true);
    BOOST_TEST_REQUIRE(link.has_value(), "cut " << cut);
    BOOST_TEST(link->sequence == 2U);
    BOOST_TEST(link->mended == 1U);
    text += "\n" + Line(*link);
    const evidence::Verdict verdict = evidence::VerifyChain(text);
    BOOST_TEST(verdict.bad_line == 0U, verdict.why);
    BOOST_TEST(verdict.torn == std::vector<std::uint64_t>{2}, boost::test_tools::per_element());
    // The mending line may be torn as well.
    text.resize(text.size() - 20);
    const auto again = evidence::FindLink(text, true);
    BOOST_TEST_REQUIRE(again.has_value());
    BOOST_TEST(again->mended == 2U);
    text += "\n" + Line(*again);
    BOOST_TEST(evidence::VerifyChain(text).bad_line == 0U);
  }
}

BOOST_AUTO_TEST_CASE(no_file_of_events) {
  for (const std::string text : {"hello\n", "hello", "\n\nx\n", "{\"v\":2}\n"}) {
    BOOST_TEST(!evidence::FindLink(text, true).has_value(), text);
  }
  BOOST_TEST(!evidence::FindLink(Line({}, "killed", "box", ChainKind::kContainer), true).has_value());
  BOOST_TEST(!evidence::FindLink("{\"v\":1,\"chain\":\"file\n", false).has_value());
}

BOOST_AUTO_TEST_CASE(every_changed_byte_is_found) {
  const std::string text = File(4);
  const std::string head = evidence::VerifyChain(text).head;
  BOOST_TEST(evidence::VerifyChain(text, head).bad_line == 0U);
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    BOOST_TEST(evidence::VerifyChain(changed, head).bad_line != 0U, "byte " << at);
  }
  for (std::size_t size = 0; size < text.size(); ++size) {
    BOOST_TEST(evidence::VerifyChain(text.substr(0, size), head).bad_line != 0U, "size " << size);
  }
}

BOOST_AUTO_TEST_CASE(lost_events_keep_their_numbers_in_a_container) {
  const std::string first = Line({}, "created", "a", ChainKind::kContainer);
  const std::string second = Line({.sequence = 3, .previous = Digest(first)}, "killed", "a", ChainKind::kContainer, 2);
  const evidence::Verdict good = evidence::VerifyChain(first + second);
  BOOST_TEST(good.bad_line == 0U, good.why);
  BOOST_TEST(good.lost == 2U);
  const std::string wrong = Line({.sequence = 3, .previous = Digest(first)}, "killed", "a", ChainKind::kContainer, 1);
  BOOST_TEST(evidence::VerifyChain(first + wrong).bad_line == 2U);
}

BOOST_AUTO_TEST_CASE(an_id_begins_anew_after_its_end_alone) {
  const std::string first = Line({}, "created", "a", ChainKind::kContainer);
  const std::string other = Line({}, "created", "b", ChainKind::kContainer);
  const std::string end = Line({.sequence = 1, .previous = Digest(first)}, "deleted", "a", ChainKind::kContainer);
  BOOST_TEST(evidence::VerifyChain(first + other + end + first).bad_line == 0U);
  BOOST_TEST(evidence::VerifyChain(first + other + first).bad_line != 0U);
}

BOOST_AUTO_TEST_SUITE_END()
