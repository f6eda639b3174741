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
  kCgroup = 'c',         // wants to be in its cgroup now
  kRuntimeHooks = 'h',   // the root is ready and not entered: prestart and createRuntime are due
  kConsole = 't',        // carries the terminal's master
  kSeccomp = 's',        // wants the compiled filter
  kReady = 'r',          // all done but execve
  kWarning = 'w',
  kError = 'e',
  // runtime → child
  kGo = 'g',
};

struct Message {
  Tag tag = Tag::kError;
  int code = 0;  // errno of kError
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
