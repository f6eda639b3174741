// nf_tables of one network namespace, over netlink. Source: netlink(7), nfnetlink, libmnl.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/egress/nft/batch.h"

struct nlmsghdr;

namespace nucleus::nft {

class Socket {
 public:
  // In the network namespace of this process.
  static Result<Socket> Open();
  // In that of `netns`: the process, which must be its only thread, is there for the moment of the call.
  static Result<Socket> OpenIn(int netns);

  // One that was made elsewhere.
  static Socket Adopt(Fd fd) {
    return Socket{std::move(fd)};
  }
  Fd Release() {
    return std::move(fd_);
  }

  // All of it or nothing. The error is the kernel's first errno and words: EEXIST, ENOENT, EOPNOTSUPP (no nf_tables or
  // an expression that the kernel lacks), EPERM.
  Result<> Commit(Batch batch);

  // A dump of NFT_MSG_*, with a payload of `fill`; one message of the answer after the other. Repeated from the start
  // where the kernel says that it changed meanwhile: `begin` is called before each attempt.
  Result<> Dump(std::uint16_t type, std::uint32_t family, const std::function<void(nlmsghdr*)>& fill,
                const std::function<void()>& begin, const std::function<void(const nlmsghdr*)>& each);

  [[nodiscard]] int fd() const {
    return fd_.get();
  }

 private:
  explicit Socket(Fd fd) : fd_(std::move(fd)) {
  }
  Result<std::string_view> Receive();  // valid until the next one
  Result<bool> DumpOnce(const std::string& request, const std::function<void(const nlmsghdr*)>& each);

  Fd fd_;
  std::unique_ptr<char[]> buffer_;
  std::uint32_t sequence_ = 0;  // of dumps
};

// ---- what is there

// Is a table of that name there? And whose it is (Table::owner).
struct FoundTable {
  std::uint64_t handle = 0;
  std::string owner;
};
Result<std::vector<std::pair<std::string, FoundTable>>> ListTables(Socket& socket, std::uint32_t family);

struct Counter {
  std::string name;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};
Result<std::vector<Counter>> ListCounters(Socket& socket, std::uint32_t family, const std::string& table);

// Live elements; of one with a timeout, `timeout_ms` is what is left of it.
Result<std::vector<Element>> ListElements(Socket& socket, std::uint32_t family, const std::string& table,
                                          const std::string& set);
// Names alone.
Result<std::vector<std::string>> ListSets(Socket& socket, std::uint32_t family, const std::string& table);

// The rules of all chains as Rule::Print has them, by chain, each chain's in order.
Result<std::map<std::string, std::vector<std::string>>> ListRules(Socket& socket, std::uint32_t family,
                                                                  const std::string& table);

}  // namespace nucleus::nft
