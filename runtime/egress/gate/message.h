// DNS messages, by ldns: requests read, queries made, replies read and answers made anew of what they have. Pure
// functions on bytes that strangers wrote; they run in the parser, which has no privilege. Source: RFC 1034, 1035, 2181
// (TTLs), 2308 (negative answers), 6891 (EDNS), 9460 (HTTPS, SVCB), 9619 (one question).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policies/egress_policy.h"

namespace nucleus::gate {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

inline constexpr std::size_t kMaxRequest = 1024;                  // no honest one is longer
inline constexpr std::size_t kMaxReply = std::size_t{16} * 1024;  // of a server, by TCP
inline constexpr std::uint16_t kServerUdpSize = 1232;             // what a server may send by UDP: never a fragment
inline constexpr std::size_t kMaxClientUdpSize = 4096;            // whatever a client says that it takes
inline constexpr std::size_t kMaxAddresses = 64;                  // of one answer; what is beyond them is left out
inline constexpr int kMaxChain = 16;                              // CNAMEs
inline constexpr std::uint32_t kMaxNegativeTtl = 300;

enum class Rcode : std::uint8_t { kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4, kRefused = 5 };

struct Question {
  Bytes wire;        // the name as the asker spells it, uncompressed
  std::string name;  // lower case, no final dot; empty unless each label is of letters, digits, '-' and '_'
  std::uint16_t type = 0;
};

struct Request {
  std::uint16_t id = 0;
  bool recursion = false;
  bool edns = false;
  std::size_t udp_size = 512;
  Question question;
};

struct RequestReading {
  std::optional<Request> request;
  Bytes answer;  // where there is no request: what to say at once; empty: nothing
};
RequestReading ReadRequest(View bytes);

// What is done with a question of that type about a name that is allowed.
enum class TypeRule { kAsk, kWithhold, kRefuse };
TypeRule RuleOf(std::uint16_t type);

// "A", "TYPE1234".
std::string TypeText(std::uint16_t type);
// The name for people: escapes for what is not printable.
std::string NameText(const Question& question);

struct Record {
  Bytes owner;  // uncompressed, lower case; empty: the question's name
  std::uint16_t type = 0;
  Bytes data;                                // uncompressed
  std::optional<policies::Address> address;  // of A and AAAA
};

// What is kept of a reply.
struct Answer {
  Rcode rcode = Rcode::kNoError;
  std::vector<Record> records;  // the chain of CNAMEs in order, then what was asked for
  std::optional<Record> soa;
  std::uint32_t ttl = 0;  // the least of all, within the bounds: every record is told with it
};

// A query as it went to a server.
struct Asked {
  std::uint16_t id = 0;
  Bytes name;  // with its letters in random case
  std::uint16_t type = 0;
};
// `random`: bits for the case, as many bytes as the name has.
Asked MakeAsked(const Question& question, std::uint16_t id, View random);
Bytes MakeQuery(const Asked& asked, bool edns);

struct Reply {
  enum class Kind {
    kForeign,      // malformed, or not an answer to what was asked
    kCaseChanged,  // an answer, but for the case of the letters
    kTruncated,
    kFailed,  // rcode says how; SERVFAIL for an answer that contradicts itself
    kAnswer,
  };
  Kind kind = Kind::kForeign;
  Rcode rcode = Rcode::kServFail;
  Answer answer;
};
// `exact_case`: over UDP, where the case is part of what a forger has to guess.
Reply ReadReply(View bytes, const Asked& asked, bool exact_case);

// At most `limit` bytes: else without records and with TC.
Bytes MakeAnswer(const Request& request, const Answer& answer, std::uint32_t ttl, std::size_t limit);
Bytes MakeError(const Request& request, Rcode rcode);

}  // namespace nucleus::gate
