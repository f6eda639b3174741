// What a service's supervisor is asked over its socket: messages (SOCK_SEQPACKET) of one letter and what belongs to it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "front/program.h"

namespace nucleus::front {

enum class Word : char {
  // From the client.
  kStop = 'S',    // milliseconds until SIGKILL, "-1": as the service has it. The connection ends with the service
  kAttach = 'A',  // from now on its output
  kInput = 'i',   // bytes for its input
  kInputEnd = 'I',
  kSize = 'w',    // of the terminal: "ROWS COLUMNS"
  kSignal = 'k',  // for the workload: a number
  // From the supervisor.
  kOutput = 'o',
  kError = 'e',
  kEnd = 'X',  // exit status
};

inline constexpr std::size_t kMaxPacket = std::size_t{32} << 10;

struct Packet {
  Word word = Word::kEnd;
  std::string text;
};

// The whole packet as it is sent.
std::string FormatPacket(Word word, std::string_view text = {});
// Waits for the next one where the socket does; none at its end.
Result<std::optional<Packet>> Receive(int socket);

// Connects to the supervisor of `id`. ECONNREFUSED or ENOENT in the error's code: there is none any more.
Result<Fd> ConnectSupervisor(const Globals& globals, const std::string& id);
Result<> Send(int socket, Word word, std::string_view text = {});

// A listening socket `control` in the directory, for its owner alone.
Result<Fd> ListenControl(int directory);

}  // namespace nucleus::front
