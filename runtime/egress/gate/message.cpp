#include "runtime/egress/gate/message.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "runtime/egress/gate/gate.h"
#include "runtime/egress/gate/ldns.h"

namespace nucleus::gate {
namespace {

struct Free {
  void operator()(ldns_pkt* packet) const {
    ::ldns_pkt_free(packet);
  }
  void operator()(ldns_rr* record) const {
    ::ldns_rr_free(record);
  }
  void operator()(ldns_rdf* field) const {
    ::ldns_rdf_deep_free(field);
  }
  void operator()(ldns_buffer* buffer) const {
    ::ldns_buffer_free(buffer);
  }
  void operator()(char* text) const {
    std::free(text);  // NOLINT: ldns took it by malloc
  }
  void operator()(std::uint8_t* bytes) const {
    std::free(bytes);  // NOLINT: likewise
  }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kHttps = 65;
constexpr std::uint16_t kSvcb = 64;

std::uint16_t Number(View bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void Append(Bytes& bytes, std::uint16_t number) {
  bytes.push_back(static_cast<std::uint8_t>(number >> 8));
  bytes.push_back(static_cast<std::uint8_t>(number & 0xff));
}

std::uint8_t LowerByte(std::uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<std::uint8_t>(byte + ('a' - 'A')) : byte;
}

// A label's length is below 'A'.
Bytes Lower(Bytes name) {
  std::ranges::transform(name, name.begin(), LowerByte);
  return name;
}

Bytes WireOf(const ldns_rdf* name) {
  const std::uint8_t* data = ::ldns_rdf_data(name);
  return {data, data + ::ldns_rdf_size(name)};
}

// "" where a label has other letters than host names have: a dot within a label must not become one between labels.
std::string PlainText(const Bytes& wire) {
  std::string text;
  for (std::size_t at = 0; at < wire.size() && wire[at] != 0; at += 1U + wire[at]) {
    if (at + wire[at] >= wire.size()) {
      return {};
    }
    if (!text.empty()) {
      text += '.';
    }
    for (std::size_t i = at + 1; i <= at + wire[at]; ++i) {
      const auto letter = static_cast<char>(LowerByte(wire[i]));
      const bool plain =
          (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
      if (!plain) {
        return {};
      }
      text += letter;
    }
  }
  return text;
}

Owned<ldns_pkt> Parse(View bytes) {
  ldns_pkt* packet = nullptr;
  if (::ldns_wire2pkt(&packet, bytes.data(), bytes.size()) != LDNS_STATUS_OK) {
    return nullptr;
  }
  return Owned<ldns_pkt>{packet};
}

Bytes Serialize(const ldns_pkt* packet) {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  if (::ldns_pkt2wire(&data, packet, &size) != LDNS_STATUS_OK) {
    return {};
  }
  const Owned<std::uint8_t> owned{data};
  return {data, data + size};
}

Owned<ldns_rr> MakeQuestion(const Bytes& wire, std::uint16_t type) {
  ldns_rdf* name = nullptr;
  std::size_t at = 0;
  if (::ldns_wire2dname(&name, wire.data(), wire.size(), &at) != LDNS_STATUS_OK) {
    return nullptr;
  }
  Owned<ldns_rr> question{::ldns_rr_new()};
  ::ldns_rr_set_question(question.get(), true);
  ::ldns_rr_set_owner(question.get(), name);
  ::ldns_rr_set_type(question.get(), static_cast<ldns_rr_type>(type));
  ::ldns_rr_set_class(question.get(), LDNS_RR_CLASS_IN);
  return question;
}

Owned<ldns_rr> MakeRecord(const Record& record, const Bytes& question, std::uint32_t ttl) {
  Bytes wire = record.owner.empty() ? question : record.owner;
  Append(wire, record.type);
  Append(wire, LDNS_RR_CLASS_IN);
  Append(wire, static_cast<std::uint16_t>(ttl >> 16));
  Append(wire, static_cast<std::uint16_t>(ttl & 0xffff));
  Append(wire, static_cast<std::uint16_t>(record.data.size()));
  wire.insert(wire.end(), record.data.begin(), record.data.end());
  ldns_rr* made = nullptr;
  std::size_t at = 0;
  if (::ldns_wire2rr(&made, wire.data(), wire.size(), &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK) {
    return nullptr;
  }
  return Owned<ldns_rr>{made};
}

Owned<ldns_pkt> MakeReply(const Request& request, Rcode rcode) {
  Owned<ldns_pkt> packet{::ldns_pkt_new()};
  ::ldns_pkt_set_id(packet.get(), request.id);
  ::ldns_pkt_set_qr(packet.get(), true);
  ::ldns_pkt_set_rd(packet.get(), request.recursion);
  ::ldns_pkt_set_ra(packet.get(), true);
  ::ldns_pkt_set_rcode(packet.get(), static_cast<std::uint8_t>(rcode));
  if (request.edns) {
    ::ldns_pkt_set_edns_udp_size(packet.get(), kServerUdpSize);
  }
  if (!request.question.wire.empty()) {
    if (Owned<ldns_rr> question = MakeQuestion(request.question.wire, request.question.type)) {
      ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_QUESTION, question.release());
    }
  }
  return packet;
}

// Without the question: what there is of it cannot be trusted to be one.
Bytes HeaderOnly(View bytes, Rcode rcode) {
  Request request;
  request.id = Number(bytes, 0);
  request.recursion = (bytes[2] & 1) != 0;
  const Owned<ldns_pkt> packet = MakeReply(request, rcode);
  ::ldns_pkt_set_opcode(packet.get(), static_cast<ldns_pkt_opcode>(bytes[2] >> 3 & 0xf));
  return Serialize(packet.get());
}

Bytes BadVersion(const Request& request) {
  const Owned<ldns_pkt> packet = MakeReply(request, Rcode::kNoError);
  ::ldns_pkt_set_edns_extended_rcode(packet.get(), 1);  // BADVERS is 16
  return Serialize(packet.get());
}

// The one question of a message, where it has one of class IN.
std::optional<Question> ReadQuestion(const ldns_pkt* packet) {
  const ldns_rr_list* questions = ::ldns_pkt_question(packet);
  if (::ldns_rr_list_rr_count(questions) != 1) {
    return std::nullopt;
  }
  const ldns_rr* rr = ::ldns_rr_list_rr(questions, 0);
  if (::ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN) {
    return std::nullopt;
  }
  Question question;
  question.wire = WireOf(::ldns_rr_owner(rr));
  question.name = PlainText(question.wire);
  question.type = static_cast<std::uint16_t>(::ldns_rr_get_type(rr));
  return question;
}

// A record as it is kept: names in lower case, uncompressed, whatever letters of ours the server's compression repeats.
struct Raw {
  Record record;
  std::uint32_t ttl = 0;
};

std::optional<Raw> ReadRecord(const ldns_rr* rr) {
  if (::ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN || ::ldns_rr_owner(rr) == nullptr) {
    return std::nullopt;
  }
  const Owned<ldns_rr> canonical{::ldns_rr_clone(rr)};
  const Owned<ldns_buffer> buffer{::ldns_buffer_new(LDNS_MIN_BUFLEN)};
  if (!canonical || !buffer) {
    return std::nullopt;
  }
  ::ldns_rr2canonical(canonical.get());
  if (::ldns_rr2buffer_wire(buffer.get(), canonical.get(), LDNS_SECTION_ANSWER) != LDNS_STATUS_OK) {
    return std::nullopt;
  }
  Raw raw;
  raw.record.owner = WireOf(::ldns_rr_owner(canonical.get()));
  raw.record.type = static_cast<std::uint16_t>(::ldns_rr_get_type(rr));
  const std::size_t data = raw.record.owner.size() + 10;  // type, class, TTL, length
  const View wire{::ldns_buffer_begin(buffer.get()), ::ldns_buffer_position(buffer.get())};
  if (wire.size() < data) {
    return std::nullopt;
  }
  raw.record.data.assign(wire.begin() + static_cast<std::ptrdiff_t>(data), wire.end());
  raw.ttl = ::ldns_rr_ttl(rr);
  if (raw.ttl > 0x7fffffff) {
    raw.ttl = 0;  // RFC 2181, section 8
  }
  const bool v6 = raw.record.type == LDNS_RR_TYPE_AAAA;
  if (v6 || raw.record.type == LDNS_RR_TYPE_A) {
    policies::Address address{.v6 = v6, .bytes = {}};
    if (raw.record.data.size() != (v6 ? 16U : 4U)) {
      return std::nullopt;
    }
    std::ranges::copy(raw.record.data, address.bytes.begin());
    raw.record.address = address;
  }
  return raw;
}

std::vector<Raw> ReadSection(const ldns_rr_list* list, std::uint16_t one, std::uint16_t other) {
  std::vector<Raw> records;
  for (std::size_t i = 0; i < ::ldns_rr_list_rr_count(list); ++i) {
    const ldns_rr* rr = ::ldns_rr_list_rr(list, i);
    const auto type = static_cast<std::uint16_t>(::ldns_rr_get_type(rr));
    if (type != one && type != other) {
      continue;
    }
    if (std::optional<Raw> raw = ReadRecord(rr)) {
      records.push_back(std::move(*raw));
    }
  }
  return records;
}

// Is `name` that zone's own or below it?
bool IsWithin(const Bytes& name, const Bytes& zone) {
  for (std::size_t at = 0; at < name.size(); at += 1U + name[at]) {
    if (std::ranges::equal(std::span{name}.subspan(at), zone)) {
      return true;
    }
    if (name[at] == 0) {
      break;
    }
  }
  return false;
}

// What of the reply belongs to the question. False: it contradicts itself.
bool Extract(const ldns_pkt* packet, const Asked& asked, Answer& answer) {
  std::vector<Raw> records = ReadSection(::ldns_pkt_answer(packet), LDNS_RR_TYPE_CNAME, asked.type);
  const Bytes name = Lower(asked.name);
  Bytes end = name;
  std::uint32_t ttl = kMaxTtl;
  const auto keep = [&](Raw& raw) {
    ttl = std::min(ttl, raw.ttl);
    Record record = raw.record;
    if (record.owner == name) {
      record.owner.clear();
    }
    answer.records.push_back(std::move(record));
  };
  std::vector<Bytes> passed = {name};
  while (asked.type != LDNS_RR_TYPE_CNAME) {
    const auto link = std::ranges::find_if(
        records, [&](const Raw& raw) { return raw.record.type == LDNS_RR_TYPE_CNAME && raw.record.owner == end; });
    if (link == records.end()) {
      break;
    }
    end = link->record.data;
    if (std::ranges::find(passed, end) != passed.end() || static_cast<int>(passed.size()) > kMaxChain) {
      return false;
    }
    passed.push_back(end);
    keep(*link);
  }
  std::size_t found = 0;
  for (Raw& raw : records) {
    if (raw.record.type == asked.type && raw.record.owner == end && found < kMaxAddresses) {
      keep(raw);
      ++found;
    }
  }
  if (answer.rcode == Rcode::kNxDomain && found != 0) {
    return false;
  }
  std::uint32_t most = kMaxTtl;
  if (found == 0) {
    most = kMaxNegativeTtl;
    std::vector<Raw> authority = ReadSection(::ldns_pkt_authority(packet), LDNS_RR_TYPE_SOA, LDNS_RR_TYPE_SOA);
    const auto soa = std::ranges::find_if(authority, [&](const Raw& raw) { return IsWithin(end, raw.record.owner); });
    if (soa != authority.end() && soa->record.data.size() >= 4) {
      const View data{soa->record.data};
      const std::uint32_t minimum = std::uint32_t{Number(data, data.size() - 4)} << 16 | Number(data, data.size() - 2);
      ttl = std::min({ttl, soa->ttl, minimum});
      answer.soa = soa->record;
    } else {
      ttl = kMinTtl;  // RFC 2308, section 5: not to be kept; a moment, so that a loop asks no server
    }
  }
  answer.ttl = std::clamp(ttl, kMinTtl, most);
  return true;
}

}  // namespace

RequestReading ReadRequest(View bytes) {
  RequestReading reading;
  // An answer is never answered.
  if (bytes.size() < kHeader || (bytes[2] & 0x80) != 0) {
    return reading;
  }
  if ((bytes[2] >> 3 & 0xf) != LDNS_PACKET_QUERY) {
    reading.answer = HeaderOnly(bytes, Rcode::kRefused);
    return reading;
  }
  const bool one = Number(bytes, 4) == 1 && Number(bytes, 6) == 0 && Number(bytes, 8) == 0 && Number(bytes, 10) <= 1;
  const Owned<ldns_pkt> packet = one && bytes.size() <= kMaxRequest ? Parse(bytes) : nullptr;
  if (!packet || ::ldns_rr_list_rr_count(::ldns_pkt_question(packet.get())) != 1) {
    reading.answer = HeaderOnly(bytes, Rcode::kFormErr);
    return reading;
  }
  std::optional<Question> question = ReadQuestion(packet.get());
  if (!question) {
    reading.answer = HeaderOnly(bytes, Rcode::kRefused);
    return reading;
  }
  Request request;
  request.id = ::ldns_pkt_id(packet.get());
  request.recursion = ::ldns_pkt_rd(packet.get());
  request.question = std::move(*question);
  request.edns = ::ldns_pkt_edns(packet.get());
  if (request.edns) {
    request.udp_size =
        std::clamp<std::size_t>(::ldns_pkt_edns_udp_size(packet.get()), request.udp_size, kMaxClientUdpSize);
    if (::ldns_pkt_edns_version(packet.get()) != 0) {
      reading.answer = BadVersion(request);
      return reading;
    }
  }
  reading.request = std::move(request);
  return reading;
}

TypeRule RuleOf(std::uint16_t type) {
  switch (type) {
    case LDNS_RR_TYPE_A:
    case LDNS_RR_TYPE_AAAA:
    case LDNS_RR_TYPE_CNAME:
    case LDNS_RR_TYPE_NS:
    case LDNS_RR_TYPE_SOA:
    case LDNS_RR_TYPE_PTR:
    case LDNS_RR_TYPE_MX:
    case LDNS_RR_TYPE_TXT:
    case LDNS_RR_TYPE_SRV:
    case LDNS_RR_TYPE_NAPTR:
    case LDNS_RR_TYPE_CAA:
      return TypeRule::kAsk;
    // They carry addresses, ports and keys for names that are hidden from everybody on the way (RFC 9460).
    case kSvcb:
    case kHttps:
      return TypeRule::kWithhold;
    default:
      return TypeRule::kRefuse;
  }
}

std::string TypeText(std::uint16_t type) {
  const Owned<char> text{::ldns_rr_type2str(static_cast<ldns_rr_type>(type))};
  return text ? text.get() : std::to_string(type);
}

std::string NameText(const Question& question) {
  if (!question.name.empty()) {
    return question.name;
  }
  std::size_t at = 0;
  ldns_rdf* name = nullptr;
  if (::ldns_wire2dname(&name, question.wire.data(), question.wire.size(), &at) != LDNS_STATUS_OK) {
    return "?";
  }
  const Owned<ldns_rdf> owned{name};
  const Owned<char> text{::ldns_rdf2str(name)};
  return text ? text.get() : "?";
}

Asked MakeAsked(const Question& question, std::uint16_t id, View random) {
  Asked asked{.id = id, .name = Lower(question.wire), .type = question.type};
  for (std::size_t i = 0; i < asked.name.size() && i < random.size(); ++i) {
    const std::uint8_t letter = asked.name[i];
    if (letter >= 'a' && letter <= 'z' && (random[i] & 1) != 0) {
      asked.name[i] = static_cast<std::uint8_t>(letter - ('a' - 'A'));
    }
  }
  return asked;
}

Bytes MakeQuery(const Asked& asked, bool edns) {
  Owned<ldns_rr> question = MakeQuestion(asked.name, asked.type);
  const Owned<ldns_pkt> packet{::ldns_pkt_new()};
  if (!question || !packet) {
    return {};
  }
  ::ldns_pkt_set_id(packet.get(), asked.id);
  ::ldns_pkt_set_rd(packet.get(), true);
  ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_QUESTION, question.release());
  if (edns) {
    ::ldns_pkt_set_edns_udp_size(packet.get(), kServerUdpSize);
  }
  return Serialize(packet.get());
}

Reply ReadReply(View bytes, const Asked& asked, bool exact_case) {
  Reply reply;
  if (bytes.size() < kHeader || Number(bytes, 0) != asked.id || (bytes[2] & 0x80) == 0 ||
      (bytes[2] >> 3 & 0xf) != LDNS_PACKET_QUERY) {
    return reply;
  }
  // A server that knows no EDNS may send its error without a question.
  const auto rcode = static_cast<Rcode>(bytes[3] & 0xf);
  if (Number(bytes, 4) == 0 && (rcode == Rcode::kFormErr || rcode == Rcode::kNotImp)) {
    reply.kind = Reply::Kind::kFailed;
    reply.rcode = rcode;
    return reply;
  }
  const Owned<ldns_pkt> packet = Parse(bytes);
  // Cut in the middle of a record: what is asked for again by TCP needs no proof.
  if (!packet && (bytes[2] & 2) != 0) {
    reply.kind = Reply::Kind::kTruncated;
    return reply;
  }
  const std::optional<Question> question = packet ? ReadQuestion(packet.get()) : std::nullopt;
  if (!question || question->type != asked.type || Lower(question->wire) != Lower(asked.name)) {
    return reply;
  }
  if (exact_case && question->wire != asked.name) {
    reply.kind = Reply::Kind::kCaseChanged;
    return reply;
  }
  if (::ldns_pkt_tc(packet.get())) {
    reply.kind = Reply::Kind::kTruncated;
    return reply;
  }
  reply.kind = Reply::Kind::kFailed;
  reply.rcode = rcode;
  if (::ldns_pkt_edns_extended_rcode(packet.get()) != 0) {
    reply.rcode = Rcode::kServFail;
    return reply;
  }
  if (rcode != Rcode::kNoError && rcode != Rcode::kNxDomain) {
    return reply;
  }
  reply.answer.rcode = rcode;
  if (!Extract(packet.get(), asked, reply.answer)) {
    reply.rcode = Rcode::kServFail;
    reply.answer = {};
    return reply;
  }
  reply.kind = Reply::Kind::kAnswer;
  return reply;
}

Bytes MakeAnswer(const Request& request, const Answer& answer, std::uint32_t ttl, std::size_t limit) {
  const Owned<ldns_pkt> packet = MakeReply(request, answer.rcode);
  for (const Record& record : answer.records) {
    if (Owned<ldns_rr> made = MakeRecord(record, request.question.wire, ttl)) {
      ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_ANSWER, made.release());
    }
  }
  if (answer.soa) {
    if (Owned<ldns_rr> made = MakeRecord(*answer.soa, request.question.wire, ttl)) {
      ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_AUTHORITY, made.release());
    }
  }
  Bytes bytes = Serialize(packet.get());
  if (bytes.size() <= limit) {
    return bytes;
  }
  const Owned<ldns_pkt> truncated = MakeReply(request, answer.rcode);
  ::ldns_pkt_set_tc(truncated.get(), true);
  return Serialize(truncated.get());
}

Bytes MakeError(const Request& request, Rcode rcode) {
  return Serialize(MakeReply(request, rcode).get());
}

}  // namespace nucleus::gate
