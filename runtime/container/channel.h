// What the runtime and the child that it cloned say to each other while a container is being made. One SOCK_SEQPACKET
// pair, one datagram a message: a tag, an errno, a text.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::container {

enum class Tag : char {
  // child → runtime
  kPid = 'p',            // text: the pid of the process that goes on (from the helper that joined a user namespace)
  kUserNamespace = 'u',  // waits for its id mappings
  kNetwork = 'N',        // carries its network namespace, then its user namespace: nobody else may open them
  kCgroup = 'c',         // wants to be in its cgroup now; text: the handle of the table of rules, where it has loaded
                         // them ready-made and read back
  kRuntimeHooks = 'h',   // the root is ready and not entered: prestart and createRuntime are due
  kConsole = 't',        // carries the terminal's master
  kSeccomp = 's',        // wants the compiled filter
  kReady = 'r',          // all done but execve
  kWarning = 'w',
  kDegraded = 'd',  // text: a stage of policies/mode.h, ':', why it is not in force; the container goes on
  kUplink = 'n',    // of nucleus-net; text: the record by which its uplink is taken away again
  kError = 'e',
  // runtime → child
  kGo = 'g',
};

// The code of the kGo that opens the gate, where the container has no cgroups of v1, or none after all.
inline constexpr int kWithoutV1 = 1;

struct Message {
  Tag tag = Tag::kError;
  int code = 0;  // errno of kError, kWithoutV1 of kGo
  std::string text;
  Fd fd;
};

Result<> Send(int socket, Tag tag, std::string_view text = {}, int code = 0);
Result<> SendWithFd(int socket, Tag tag, int fd);
// ECONNRESET when the other side is gone.
Result<Message> Receive(int socket);
// Receives kGo; anything else is an error.
Result<> AwaitGo(int socket);

}  // namespace nucleus::container
