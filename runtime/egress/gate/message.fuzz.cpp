// Requests and replies as strangers send them. What is read is written again, and that must be well-formed: no more
// than asked for, of nothing but the question's chain, and read back the same.

#include "runtime/egress/gate/message.h"

#include <algorithm>
#include <cstdlib>

#include "runtime/egress/gate/gate.h"

namespace {

using namespace nucleus::gate;

void Require(bool good) {
  if (!good) {
    std::abort();
  }
}

// A whole answer of the gate's to `request`.
void CheckAnswer(const Bytes& bytes, const Request& request, std::size_t limit) {
  Require(bytes.size() >= 12 && bytes.size() <= std::max<std::size_t>(limit, 12 + 255 + 4 + 11));
  Require(bytes[0] == request.id >> 8 && bytes[1] == (request.id & 0xff) && (bytes[2] & 0x80) != 0);
}

Asked AskedFor(const Request& request, View random) {
  Asked asked = MakeAsked(request.question, request.id, random);
  Require(asked.name.size() == request.question.wire.size());
  return asked;
}

void CheckRequest(View bytes) {
  const RequestReading reading = ReadRequest(bytes);
  if (!reading.request) {
    Require(reading.answer.empty() || reading.answer.size() >= 12);
    return;
  }
  const Request& request = *reading.request;
  for (const char letter : request.question.name) {
    Require((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' ||
            letter == '.');
  }
  (void)NameText(request.question);
  (void)TypeText(request.question.type);
  (void)RuleOf(request.question.type);
  CheckAnswer(MakeError(request, Rcode::kRefused), request, request.udp_size);
  CheckAnswer(MakeAnswer(request, {}, 0, request.udp_size), request, request.udp_size);
  // The query that would be made of it is a request as well, for the same.
  const Asked asked = AskedFor(request, bytes);
  const RequestReading again = ReadRequest(MakeQuery(asked, true));
  Require(again.request && again.request->edns && again.request->question.name == request.question.name &&
          again.request->question.wire == asked.name && again.request->question.type == asked.type);
}

// As a reply to whatever question it has.
void CheckReply(View bytes) {
  if (bytes.size() < 12) {
    return;
  }
  // Its question, out of a request with nothing else.
  Bytes head{bytes.begin(), bytes.end()};
  head.resize(std::min(head.size(), kMaxRequest));
  head[2] = 0;
  for (std::size_t at = 6; at < 12; ++at) {
    head[at] = 0;
  }
  const RequestReading reading = ReadRequest(head);
  if (!reading.request) {
    return;
  }
  const Request& request = *reading.request;
  Asked asked = MakeAsked(request.question, request.id, {});
  (void)ReadReply(bytes, asked, false);
  asked.name = request.question.wire;
  const Reply reply = ReadReply(bytes, asked, true);
  if (reply.kind != Reply::Kind::kAnswer) {
    return;
  }
  const Answer& answer = reply.answer;
  Require(answer.ttl >= kMinTtl && answer.ttl <= kMaxTtl);
  Require(answer.rcode == Rcode::kNoError || answer.rcode == Rcode::kNxDomain);
  Require(answer.records.size() <= kMaxAddresses + static_cast<std::size_t>(kMaxChain));
  const auto addresses = static_cast<std::size_t>(
      std::ranges::count_if(answer.records, [](const Record& record) { return record.address.has_value(); }));
  Require(addresses <= kMaxAddresses && (addresses == 0 || answer.rcode == Rcode::kNoError));
  const Bytes whole = MakeAnswer(request, answer, answer.ttl, 0xffff);
  CheckAnswer(whole, request, 0xffff);
  CheckAnswer(MakeAnswer(request, answer, 1, request.udp_size), request, request.udp_size);
  // A client that reads it finds what was found.
  if (whole.size() > 0xffff || (whole[2] & 2) != 0) {
    return;
  }
  const Reply again = ReadReply(whole, asked, true);
  Require(again.kind == Reply::Kind::kAnswer && again.answer.rcode == answer.rcode &&
          again.answer.records.size() == answer.records.size());
  for (std::size_t i = 0; i < answer.records.size(); ++i) {
    const Record& one = answer.records[i];
    const Record& other = again.answer.records[i];
    Require(one.owner == other.owner && one.type == other.type && one.data == other.data);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const View bytes{data, size};
  CheckRequest(bytes);
  CheckReply(bytes);
  return 0;
}
