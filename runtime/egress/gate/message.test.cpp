#include "runtime/egress/gate/message.h"

#include <boost/test/unit_test.hpp>

#include "runtime/egress/gate/test_world.h"

namespace nucleus::gate {
namespace {

Request RequestFor(const std::string& name, const std::string& type, const test::AskOptions& options = {}) {
  RequestReading reading = ReadRequest(test::Query(name, type, options));
  BOOST_REQUIRE(reading.request.has_value());
  return *reading.request;
}

Reply::Kind KindOf(const test::Packet& packet, const Asked& asked) {
  return ReadReply(test::Wire(packet.get()), asked, true).kind;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dns_messages)

BOOST_AUTO_TEST_CASE(a_request) {
  const Request request = RequestFor("API.Example.com", "AAAA", {.id = 7, .edns = 1400});
  BOOST_TEST(request.id == 7);
  BOOST_TEST(request.recursion);
  BOOST_TEST(request.edns);
  BOOST_TEST(request.udp_size == 1400U);
  BOOST_TEST(request.question.name == "api.example.com");
  BOOST_TEST(request.question.type == LDNS_RR_TYPE_AAAA);
  BOOST_TEST(RequestFor("a.b", "A").udp_size == 512U);
  BOOST_TEST(RequestFor("a.b", "A", {.edns = 65'535}).udp_size == kMaxClientUdpSize);
  // A dot in a label, a zero, a space, the root: no host names.
  for (const char* name : {"a\\.b.c", "a\\000.b", "a\\032b.c", "*.a.b", "."}) {
    const Request odd = RequestFor(name, "A");
    BOOST_TEST(odd.question.name == "", name);
    BOOST_TEST(NameText(odd.question) != "", name);
  }
  BOOST_TEST(NameText(RequestFor("a\\.b.c", "A").question) == "a\\.b.c.");
}

BOOST_AUTO_TEST_CASE(a_query) {
  const Request request = RequestFor("api.example.com", "A");
  Bytes random(request.question.wire.size(), 0);
  for (std::size_t i = 0; i < random.size(); i += 2) {
    random[i] = 0xff;
  }
  const Asked asked = MakeAsked(request.question, 0xbeef, random);
  const test::Packet packet = test::Parse(MakeQuery(asked, true));
  BOOST_REQUIRE(packet != nullptr);
  BOOST_TEST(::ldns_pkt_id(packet.get()) == 0xbeef);
  BOOST_TEST(::ldns_pkt_rd(packet.get()));
  BOOST_TEST(!::ldns_pkt_cd(packet.get()));
  BOOST_TEST(::ldns_pkt_edns_udp_size(packet.get()) == 1232);
  BOOST_TEST(!::ldns_pkt_edns_do(packet.get()));
  BOOST_TEST(test::Read(test::Wire(packet.get())).question == "aPi.eXaMpLe.cOm.");
  BOOST_TEST(!::ldns_pkt_edns(test::Parse(MakeQuery(asked, false)).get()));
}

BOOST_AUTO_TEST_CASE(a_reply) {
  const Request request = RequestFor("a.test", "A");
  const Asked asked = MakeAsked(request.question, request.id, Bytes{0xff, 0xff, 0, 0, 0xff, 0, 0xff, 0});
  const test::Packet query = test::Parse(MakeQuery(asked, true));
  const auto make = [&](unsigned rcode = 0) {
    return test::ReplyTo(*query, {"a.test. 60 IN A 8.8.8.1", "+a.test. 60 IN A 8.8.8.9"}, rcode);
  };
  const Reply reply = ReadReply(test::Wire(make().get()), asked, true);
  BOOST_REQUIRE((reply.kind == Reply::Kind::kAnswer));
  BOOST_TEST(reply.answer.records.size() == 1U);
  BOOST_TEST(reply.answer.ttl == 60U);
  BOOST_TEST(test::Read(MakeAnswer(request, reply.answer, 33, 512)).text == "NOERROR a.test. A 8.8.8.1");
  BOOST_TEST(test::Read(MakeAnswer(request, reply.answer, 33, 512)).ttls.at(0) == 33U);

  test::Packet packet = make();
  ::ldns_pkt_set_id(packet.get(), 1);
  BOOST_TEST((KindOf(packet, asked) == Reply::Kind::kForeign));
  packet = make();
  ::ldns_pkt_set_opcode(packet.get(), LDNS_PACKET_NOTIFY);
  BOOST_TEST((KindOf(packet, asked) == Reply::Kind::kForeign));
  packet = make();
  ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_QUESTION,
                     ::ldns_rr_clone(::ldns_rr_list_rr(::ldns_pkt_question(query.get()), 0)));
  BOOST_TEST((KindOf(packet, asked) == Reply::Kind::kForeign));
  packet = make();
  ::ldns_rr_set_class(::ldns_rr_list_rr(::ldns_pkt_question(packet.get()), 0), LDNS_RR_CLASS_CH);
  BOOST_TEST((KindOf(packet, asked) == Reply::Kind::kForeign));
  packet = make();
  ::ldns_pkt_set_tc(packet.get(), true);
  BOOST_TEST((KindOf(packet, asked) == Reply::Kind::kTruncated));
  for (const unsigned rcode : {1U, 2U, 4U, 5U, 9U}) {
    const Reply failed = ReadReply(test::Wire(make(rcode).get()), asked, true);
    BOOST_TEST((failed.kind == Reply::Kind::kFailed));
    BOOST_TEST((failed.rcode == static_cast<Rcode>(rcode)));
  }
  // BADVERS, whose lower half is NOERROR.
  packet = make();
  ::ldns_pkt_set_edns_extended_rcode(packet.get(), 1);
  BOOST_TEST((KindOf(packet, asked) == Reply::Kind::kFailed));

  // The case matters where it is said to.
  Asked other = asked;
  other.name[1] ^= 0x20;
  BOOST_TEST((KindOf(make(), other) == Reply::Kind::kCaseChanged));
  BOOST_TEST((ReadReply(test::Wire(make().get()), other, false).kind == Reply::Kind::kAnswer));
  // Cut anywhere: never more than a truncation.
  const Bytes whole = test::Wire(make().get());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    BOOST_TEST((ReadReply(View{whole}.first(size), asked, true).kind == Reply::Kind::kForeign), size);
  }
}

BOOST_AUTO_TEST_CASE(records_of_another_class) {
  const Request request = RequestFor("a.test", "A");
  const Asked asked = MakeAsked(request.question, request.id, {});
  const test::Packet query = test::Parse(MakeQuery(asked, true));
  const Bytes wire = test::Wire(test::ReplyTo(*query, {"a.test. 60 CH A 8.8.8.1"}).get());
  const Reply reply = ReadReply(wire, asked, true);
  BOOST_REQUIRE((reply.kind == Reply::Kind::kAnswer));
  BOOST_TEST(reply.answer.records.empty());
}

BOOST_AUTO_TEST_CASE(rules_of_types) {
  for (const char* type : {"A", "AAAA", "CNAME", "MX", "TXT", "SRV", "NS", "SOA", "PTR", "NAPTR", "CAA"}) {
    BOOST_TEST((RuleOf(static_cast<std::uint16_t>(test::TypeOf(type))) == TypeRule::kAsk), type);
  }
  int asked = 0;
  for (unsigned type = 0; type <= 0xffff; ++type) {
    asked += RuleOf(static_cast<std::uint16_t>(type)) == TypeRule::kAsk ? 1 : 0;
  }
  BOOST_TEST(asked == 11);
  BOOST_TEST((RuleOf(64) == TypeRule::kWithhold));
  BOOST_TEST((RuleOf(65) == TypeRule::kWithhold));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
