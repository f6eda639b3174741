// Sequences of commands and of what may happen between them: whatever the order, a container goes through the states of
// runtime.md in their order, and state.json says after each step what it said before it was written.
//
// A byte is a step; the model beside is what the specification says, kept apart from the code's tables.

#include "runtime/container/lifecycle.h"

#include <cstdlib>

using nucleus::container::Command;
using nucleus::container::Judge;
using nucleus::container::MayBeSaid;
using nucleus::container::Status;
using nucleus::oci::Phase;

namespace {

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

// What the host knows of a container.
struct World {
  nucleus::oci::State state;
  bool exists = false;
  bool alive = false;
  bool frozen = false;
};

// As through the disk.
void Save(World& world) {
  const std::string text = nucleus::oci::FormatState(world.state);
  auto read = nucleus::oci::ParseState(text, "state.json");
  Require(read.has_value());
  Require(nucleus::oci::FormatState(*read) == text);
  world.state = *std::move(read);
}

Status Now(const World& world) {
  return Judge(world.state, world.alive, world.frozen);
}

void Create(World& world, unsigned how_far) {
  world = {};
  world.exists = true;
  world.state.oci_version = "1.3.0";
  world.state.id = "box";
  world.state.bundle = "/bundle";
  world.state.rootfs = "/bundle/rootfs";
  world.state.created = "2026-01-01T00:00:00.000000000Z";
  Save(world);
  Require(Now(world) == Status::kCreating);
  if (how_far == 0) {
    return;  // killed before there was a child
  }
  world.state.pid = 5;
  world.state.start_time = 77;
  world.alive = true;
  Save(world);
  Require(Now(world) == Status::kCreating);
  if (how_far == 1) {
    return;  // killed before the child was ready
  }
  world.state.phase = Phase::kCreated;
  Save(world);
  Require(Now(world) == Status::kCreated);
}

void Step(World& world, unsigned char byte) {
  const Status before = Now(world);
  const auto says = [&](Command command) { return MayBeSaid(command, before, world.state.id).has_value(); };
  switch (byte % 10) {
    case 0:
      if (!world.exists) {
        Create(world, byte / 10 % 3);
      }
      return;
    case 1:
      if (world.exists) {
        const bool may = says(Command::kStart);
        Require(may == (before == Status::kCreated));
        if (may) {
          world.state.phase = Phase::kRunning;
          Save(world);
          Require(Now(world) == Status::kRunning && !says(Command::kResume));
          Require(!MayBeSaid(Command::kStart, Now(world), "box"));
        }
      }
      return;
    case 2:  // delete
      if (world.exists && says(Command::kDelete)) {
        Require(before == Status::kStopped || before == Status::kCreated);
        world = {};
      }
      return;
    case 3:  // delete --force
      world = {};
      return;
    case 4:
      if (world.exists && says(Command::kPause)) {
        Require(world.alive && !world.frozen);
        world.frozen = true;
        Require(Now(world) == Status::kPaused);
      }
      return;
    case 5:
      if (world.exists && says(Command::kResume)) {
        Require(world.alive && world.frozen);
        world.frozen = false;
        Require(Now(world) == Status::kCreated || Now(world) == Status::kRunning);
      }
      return;
    case 6:  // the init ends, by itself or by a signal; a frozen one is thawed by whoever kills it
      world.alive = world.frozen = false;
      Require(!world.exists || world.state.pid == 0 || Now(world) == Status::kStopped);
      return;
    case 7:
      Require(!world.exists ||
              says(Command::kExec) == (world.alive && world.state.phase != Phase::kCreating && !world.frozen));
      return;
    case 8:
      Require(!world.exists || says(Command::kUpdate) == (world.alive && world.state.phase != Phase::kCreating));
      return;
    case 9:
      Require(!world.exists ||
              says(Command::kExecIgnoringPause) == (world.alive && world.state.phase != Phase::kCreating));
      return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  World world;
  for (std::size_t i = 0; i < size; ++i) {
    const bool was_stopped = world.exists && Now(world) == Status::kStopped;
    const bool was_running = world.exists && world.state.phase == Phase::kRunning;
    Step(world, data[i]);
    // Stopped is for ever, and no one that has run is created again: but for a delete in between.
    Require(!was_stopped || !world.exists || Now(world) == Status::kStopped);
    Require(!was_running || !world.exists || world.state.phase == Phase::kRunning);
  }
  return 0;
}
