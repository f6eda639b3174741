// Where --events goes: a file, or a pipe, socket or terminal that the caller has open (docs/evidence.md).
//
// A file is opened anew, locked for each event, and synced. Whoever reads a pipe or socket is waited for a bounded
// time; what it does not take is lost, and counted in the next event that it does take.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/evidence/chain.h"

namespace nucleus::evidence {

// In a container's state directory: how its chain goes on in a pipe or socket, and how many events were lost.
inline constexpr const char* kChainFile = "events.chain";

class EventLog {
 public:
  // `target`: a path, or "fd:N" with N from 3 on. `root`: the state root. `preserved_fds`: as many descriptors from 3
  // on go to the container, and an event stream must not. Nothing is written yet.
  static Result<EventLog> Open(const std::string& target, const std::string& root, int preserved_fds);

  // Opens the container's kChainFile, so that it can be used until another container's is held: before `delete` removes
  // the directory, and once `create` has made it. Without a directory the chain is kept in memory.
  void Hold(const std::string& id);

  // For a program that goes on writing: what it is to Open, and in `fd` the descriptor that it must have as `number`,
  // where it needs one.
  std::string Inherit(int number, int& fd) const;

  // Writes the event. An error where a file could not take it; it is counted as lost then, too.
  Result<> Append(const Event& event);

 private:
  enum class Sink { kFile, kPipe, kSocket };
  EventLog(Sink sink, Fd fd, std::string name, std::string root)
      : sink_(sink), fd_(std::move(fd)), name_(std::move(name)), root_(std::move(root)) {
  }

  // As kChainFile has it.
  struct Kept {
    Link link;
    std::uint64_t lost = 0;
    bool open_line = false;  // a part of a line was written last
  };
  Result<Kept> ReadKept();
  Result<> WriteKept(const Kept& kept);
  Result<> AppendToFile(const Event& event, Kept& kept);
  Result<> AppendToStream(const Event& event, Kept& kept);
  std::size_t Offer(std::string_view bytes) const;

  Sink sink_;
  Fd fd_;
  std::string name_;
  std::string root_;
  std::string held_id_;
  Fd held_;
  Kept memory_;  // where nothing is held
};

}  // namespace nucleus::evidence
