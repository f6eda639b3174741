// The few messages of criu's RPC that are needed here, in the wire form of Protocol Buffers: fields of a number, each a
// varint or bytes.
// Source: criu's images/rpc.proto and https://criu.org/RPC; https://protobuf.dev/programming-guides/encoding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nucleus::criu {

class Message {
 public:
  Message& Number(unsigned field, std::uint64_t value);
  Message& Flag(unsigned field, bool value) {
    return Number(field, value ? 1 : 0);
  }
  Message& Text(unsigned field, std::string_view text);
  Message& Nested(unsigned field, const Message& message) {
    return Text(field, message.bytes());
  }
  [[nodiscard]] const std::string& bytes() const {
    return bytes_;
  }

 private:
  void Varint(std::uint64_t value);
  std::string bytes_;
};

struct Field {
  unsigned number = 0;
  std::uint64_t value = 0;  // of a varint
  std::string_view bytes;   // of a nested message or a string; views what was parsed
};

// EPROTO where it is no message.
Result<std::vector<Field>> ParseMessage(std::string_view bytes);

enum class RequestType { kEmpty = 0, kDump = 1, kRestore = 2, kPreDump = 4, kNotify = 6 };

// What criu says: the end of what it was asked for, or a stage on the way there.
struct Answer {
  RequestType type = RequestType::kEmpty;
  bool success = false;
  std::string stage;          // of kNotify: "setup-namespaces", "post-restore", ...
  std::int32_t pid = 0;       // of a stage, or of the restored init
  std::int32_t error = 0;     // an errno
  std::string error_message;  // may be empty
};

Result<Answer> ParseAnswer(std::string_view bytes);

}  // namespace nucleus::criu
