// How the two processes of the gate lose their powers. Inside runtime/egress/gate only.
#pragma once

#include "base/error.h"

namespace nucleus::gate {

// The parser's descriptors: the filter tells them by their numbers. What comes later has numbers from kFirstFree on,
// and only those can be closed: no socket towards a server ever gets the number of one that may send to any address.
inline constexpr int kUdpFd = 3;
inline constexpr int kTcpFd = 4;
inline constexpr int kSetterFd = 5;
inline constexpr int kLifeFd = 6;  // of the supervisor: at its end everything ends
inline constexpr int kReportFd = 7;
inline constexpr int kEpollFd = 8;
inline constexpr int kFirstFree = 16;

// Descriptors that the parser can have at one time.
inline constexpr int kMaxDescriptors = 512;

// AddressSanitizer needs memory without bound, and says what it finds on the standard error stream.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

// No user, no capability, no file, no new socket, no way to send to an address but from kUdpFd.
Result<> ConfineParser();
// CAP_NET_ADMIN and no other; no files; sockets of UDP, and of TCP to port 53.
Result<> ConfineSetter();

}  // namespace nucleus::gate
