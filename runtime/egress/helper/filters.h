// The rules of one container where they are in force: in its own network namespace, and, where nucleus made the uplink,
// outside of it as well.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/egress/helper/visit.h"
#include "runtime/egress/nft/socket.h"
#include "runtime/egress/nft/verify.h"
#include "runtime/egress/rules/compiled.h"
#include "runtime/egress/rules/outer.h"

namespace nucleus::egress {

// Of NFLOG, in the container's namespace; in the outer one it depends on the link.
inline constexpr std::uint16_t kInnerLogGroup = 100;
std::uint16_t OuterLogGroup(std::uint32_t interface_index);

struct Outside {
  Place place;  // netns -1: the namespace of this process
  OuterLink link;
  std::uint16_t log_group = 0;
};

struct Facts {
  nft::Loaded inner;
  std::optional<nft::Loaded> outer;
};

class Filters {
 public:
  // `outside` none: there is no place for the second table.
  static Result<Filters> Open(std::string id, const Place& inside, std::optional<Outside> outside);

  // Of a namespace that has none: the inner table first, then the outer one, both read back. EEXIST where another
  // container's rules are there.
  Result<nft::Loaded> LoadInner(const Compiled& compiled, std::uint32_t generation);
  Result<nft::Loaded> LoadOuter(const Compiled& compiled, std::uint32_t generation);

  // New rules in place of those of `generation`, each table in one transaction; what names have led to and still may
  // is carried over. The new generation is one more.
  Result<Facts> Replace(const Compiled& before, const Compiled& next, std::uint32_t generation);

  // Takes the tables away, as far as they are this container's.
  Result<> Remove();

  [[nodiscard]] nft::Socket& inner() {
    return inner_;
  }
  [[nodiscard]] nft::Socket* outer() {
    return outer_ ? &*outer_ : nullptr;
  }
  [[nodiscard]] const std::optional<Outside>& outside() const {
    return outside_;
  }
  [[nodiscard]] const std::string& id() const {
    return id_;
  }

 private:
  Filters(std::string id, nft::Socket inner) : id_(std::move(id)), inner_(std::move(inner)) {
  }
  Result<nft::Loaded> Load(nft::Socket& socket, nft::Table table);
  Result<nft::Loaded> Exchange(nft::Socket& socket, nft::Table next, const Compiled& before, const Compiled& compiled,
                               std::uint32_t generation);

  std::string id_;
  nft::Socket inner_;
  std::optional<nft::Socket> outer_;
  std::optional<Outside> outside_;
};

// A table of the container `id` in the namespace goes; one of another's stays.
Result<> RemoveTables(nft::Socket& socket, std::uint32_t family, const std::string& id);

Result<nft::Socket> OpenAt(const Place& place);

}  // namespace nucleus::egress
