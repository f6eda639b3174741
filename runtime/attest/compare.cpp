#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "runtime/attest/attest.h"
#include "runtime/attest/escape.h"
#include "runtime/attest/links.h"

namespace nucleus::attest {
namespace {

std::string ModeText(std::uint32_t mode) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) {
    text += static_cast<char>('0' + (mode >> shift & 7));
  }
  return text;
}

std::string PairText(std::uint32_t one, std::uint32_t other) {
  return std::to_string(one) + ":" + std::to_string(other);
}

// "A; B"
class Differences {
 public:
  void Add(std::string_view text) {
    if (!text_.empty()) {
      text_ += "; ";
    }
    text_ += text;
  }
  void Add(std::string_view name, const std::string& have, const std::string& want) {
    if (have != want) {
      Add(std::string{name} + " is " + have + ", not " + want);
    }
  }
  [[nodiscard]] bool empty() const {
    return text_.empty();
  }
  std::string Take() {
    return std::move(text_);
  }

 private:
  std::string text_;
};

// Both are sorted by name.
void CompareXattrs(const std::vector<Xattr>& have, const std::vector<Xattr>& want, Differences& differences) {
  auto here = have.begin();
  auto there = want.begin();
  while (here != have.end() || there != want.end()) {
    if (there == want.end() || (here != have.end() && here->name < there->name)) {
      differences.Add("xattr " + Escape(here->name) + " is extra");
      ++here;
    } else if (here == have.end() || there->name < here->name) {
      differences.Add("xattr " + Escape(there->name) + " is missing");
      ++there;
    } else {
      if (here->value != there->value) {
        differences.Add("xattr " + Escape(here->name) + " differs");
      }
      ++here;
      ++there;
    }
  }
}

class Comparer : public Visitor {
 public:
  explicit Comparer(const Manifest& manifest) : manifest_(manifest), seen_(manifest.entries.size()) {
    seen_[0] = kSeen;
  }

  bool Wants(const std::string& path) override {
    const std::size_t index = manifest_.Find(path);
    if (index == kNone) {
      Found({.kind = Kind::kExtra, .path = path});
      return false;
    }
    // A filesystem that lists a name twice does not get it looked at twice.
    return seen_[index].exchange(kSeen) == kUnseen;
  }

  Result<bool> Visit(Inspector& inspector, Handle& handle) override {
    const std::size_t index = manifest_.Find(handle.path);
    const Entry& want = manifest_.Described(manifest_.entries[index]);
    const bool directory = handle.Is(S_IFDIR);
    const bool file = handle.Is(S_IFREG);
    if (!directory && handle.status.stx_nlink > 1 && !manifest_.store) {
      const std::lock_guard lock{mutex_};
      links_.push_back({.inode = InodeOf(handle), .entry = index});
    }
    // Not for what is of another type: nothing is opened that the manifest does not know as a file or directory.
    if ((directory && want.type == Type::kDirectory) || (file && want.type == Type::kFile)) {
      TRY(inspector.OpenToRead(handle));
    }
    const Entry have = TRY(inspector.Describe(handle));
    if (have.type != want.type) {
      Different(handle.path,
                "type is " + std::string{TypeName(have.type)} + ", not " + std::string{TypeName(want.type)});
      return false;
    }
    Differences differences;
    differences.Add("mode", ModeText(have.mode), ModeText(want.mode));
    differences.Add("owner", PairText(have.uid, have.gid), PairText(want.uid, want.gid));
    differences.Add("target", Escape(have.target), Escape(want.target));
    differences.Add("device number", PairText(have.major, have.minor), PairText(want.major, want.minor));
    if (file && have.size != want.size) {
      differences.Add("size", std::to_string(have.size), std::to_string(want.size));
    } else if (file && !TRY(HasContent(inspector, handle, want))) {
      differences.Add("content differs");
    }
    CompareXattrs(have.xattrs, want.xattrs, differences);
    if (differences.empty()) {
      ++same_;
    } else {
      Different(handle.path, differences.Take());
    }
    if (directory) {
      seen_[index] = kListed;
    }
    return directory;
  }

  Result<> Trouble(const std::string& path, Error error) override {
    const std::size_t index = manifest_.Find(path);
    if (error.code == ENOENT && index != 0) {
      seen_[index] = kUnseen;  // it has gone since it was listed: missing
    } else {
      seen_[index] = kSeen;
      Different(path, std::move(error).message);
    }
    return {};
  }

  Result<Report> Take() {
    CompareLinks();
    for (std::size_t i = 1; i < manifest_.entries.size(); ++i) {
      // Below what is missing itself, or is no directory, nothing more is said.
      if (seen_[i] == kUnseen && seen_[manifest_.entries[i].parent] == kListed) {
        Found({.kind = Kind::kMissing, .path = manifest_.entries[i].path});
      }
    }
    // Nothing found is only good news when everything was looked at.
    if (report_.count == 0 && same_ != manifest_.entries.size()) {
      return std::unexpected(Failure("internal error: " + std::to_string(same_) + " of " +
                                     std::to_string(manifest_.entries.size()) + " entries were compared"));
    }
    return std::move(report_);
  }

 private:
  enum Seen : unsigned char { kUnseen, kSeen, kListed };

  static Result<bool> HasContent(Inspector& inspector, const Handle& handle, const Entry& want) {
    if (want.verity && TRY(Inspector::Measure(handle)) == want.verity) {
      return true;
    }
    return TRY(inspector.Hash(handle)) == want.content;
  }

  void Different(const std::string& path, std::string what) {
    Found({.kind = Kind::kDifferent, .path = path, .what = std::move(what)});
  }

  void Found(Finding finding) {
    const std::lock_guard lock{mutex_};
    ++report_.count;
    std::vector<Finding>& first = report_.first;
    const auto place = std::ranges::upper_bound(first, finding.path, {}, &Finding::path);
    if (first.size() < Report::kListed || place != first.end()) {
      first.insert(place, std::move(finding));
      first.resize(std::min(first.size(), Report::kListed));
    }
  }

  // Each entry has the same first name in the tree as in the manifest, or none in either.
  void CompareLinks() {
    std::vector<std::size_t> firsts(manifest_.entries.size(), kNone);
    ForEachLaterLink(links_, [&](std::size_t first, std::size_t later) { firsts[later] = first; });
    for (std::size_t i = 0; i < firsts.size(); ++i) {
      const std::size_t want = manifest_.entries[i].first;
      if (firsts[i] == want || seen_[i] == kUnseen) {
        continue;
      }
      const auto name = [&](std::size_t first) {
        return first == kNone ? std::string{"nothing"} : Escape(manifest_.entries[first].path);
      };
      Different(manifest_.entries[i].path, "hard link of " + name(firsts[i]) + ", not of " + name(want));
    }
  }

  const Manifest& manifest_;
  std::vector<std::atomic<unsigned char>> seen_;  // by entry: Seen
  std::atomic<std::size_t> same_ = 0;             // entries without a difference
  std::mutex mutex_;
  std::vector<Link> links_;
  Report report_;
};

}  // namespace

Result<Report> CompareTree(const TreeRoot& tree, const Manifest& manifest, unsigned threads) {
  // One that has no place in the tree would never be looked at, and be mounted all the same.
  for (const auto& [path, node] : tree.grafts) {
    if (manifest.Find(path) == kNone) {
      return std::unexpected(Failure(Escape(path) + " is in the closure, and not in the manifest", ENOENT));
    }
  }
  Comparer comparer{manifest};
  TRY(Walk(tree, threads, comparer));
  return comparer.Take();
}

}  // namespace nucleus::attest
