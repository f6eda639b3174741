// The tracer: a process of its own that is told of every system call in a container, writes it down, and lets it go on.
// Docs: docs/learning.md; seccomp_unotify(2).
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::trace {

// Opens the file of a trace for writing, empty. Made with mode 0600. Refused: a symbolic link, anything but a regular
// file, one that everybody may write to, and one that has something else in it than a trace.
Result<Fd> OpenTraceFile(const std::string& path);

struct Tracer {
  Fd file;
  Fd init;    // socket that brings the first process's listener
  Fd others;  // listening: each connection brings one of an exec
  std::string header;
  bool files = false;  // writes down paths and addresses too, which takes a look into the traced processes' memory
};

// Gives up all that Serve does not need: capabilities (with `files` all but CAP_SYS_PTRACE), and, by a seccomp filter,
// all system calls but those it makes.
Result<> ConfineTracer(bool files);

// Until the last process that sent a listener has ended. Writes the file every second in which something was new, and
// at the end.
void Serve(Tracer& tracer);

}  // namespace nucleus::trace
