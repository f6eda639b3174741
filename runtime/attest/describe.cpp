#include <algorithm>
#include <mutex>
#include <tuple>

#include "runtime/attest/attest.h"
#include "runtime/attest/escape.h"
#include "runtime/attest/links.h"

namespace nucleus::attest {
namespace {

class Describer : public Visitor {
 public:
  explicit Describer(bool store) : store_(store) {
  }

  bool Wants(const std::string& /*path*/) override {
    return true;
  }

  Result<bool> Visit(Inspector& inspector, Handle& handle) override {
    const bool directory = handle.Is(S_IFDIR);
    if (directory || handle.Is(S_IFREG)) {
      TRY(inspector.OpenToRead(handle));
    }
    Entry entry = TRY(inspector.Describe(handle));
    if (entry.type == Type::kFile) {
      entry.verity = TRY(Inspector::Measure(handle));
      entry.content = TRY(inspector.Hash(handle));
    }
    if (store_) {
      entry.uid = 0;
      entry.gid = 0;
    }
    const std::lock_guard lock{mutex_};
    entries_.push_back(std::move(entry));
    if (!directory && handle.status.stx_nlink > 1 && !store_) {
      links_.emplace_back(InodeOf(handle), handle.path);
    }
    return directory;
  }

  Result<> Trouble(const std::string& path, Error error) override {
    return std::unexpected(Context(Escape(path), std::move(error)));
  }

  Manifest Take() {
    Manifest manifest{.entries = std::move(entries_), .store = store_};
    std::ranges::sort(manifest.entries, {}, &Entry::path);
    std::vector<Link> links;
    links.reserve(links_.size());
    for (const auto& [inode, path] : links_) {
      links.push_back({.inode = inode, .entry = manifest.Find(path)});
    }
    ForEachLaterLink(links, [&](std::size_t first, std::size_t later) {
      Entry& entry = manifest.entries[later];
      entry = {.path = std::move(entry.path), .first = first};
    });
    return manifest;
  }

 private:
  bool store_;
  std::mutex mutex_;
  std::vector<Entry> entries_;
  std::vector<std::pair<Inode, std::string>> links_;
};

}  // namespace

Result<Manifest> DescribeTree(const TreeRoot& tree, bool store, unsigned threads) {
  Describer describer{store};
  TRY(Walk(tree, threads, describer));
  Manifest manifest = describer.Take();
  for (const auto& [path, node] : tree.grafts) {
    if (manifest.Find(path) == kNone) {
      return std::unexpected(Failure(Escape(path) + ": has no place in the tree", ENOENT));
    }
  }
  return manifest;
}

}  // namespace nucleus::attest
