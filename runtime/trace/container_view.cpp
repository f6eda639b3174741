#include "runtime/trace/container_view.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include "runtime/sys/syscalls.h"
#include "runtime/trace/observe.h"

namespace nucleus::trace {
namespace {

constexpr int kMaxLinks = 40;

std::deque<std::string> Parts(const std::string& path) {
  std::deque<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    if (slash > at) {
      parts.push_back(path.substr(at, slash - at));
    }
    at = slash + 1;
  }
  return parts;
}

std::string Absolute(const std::string& path, const std::string& bundle) {
  return path.starts_with('/') ? path : bundle + "/" + path;
}

}  // namespace

ContainerView::ContainerView(const oci::Spec& spec, const std::string& bundle) {
  for (const oci::Mount& mount : spec.mounts) {
    const bool bind = mount.type == "bind" || std::ranges::any_of(mount.options, [](const std::string& option) {
                        return option == "bind" || option == "rbind";
                      });
    Place place{.destination = PlainPath("/", mount.destination),
                .source = bind ? Absolute(mount.source, bundle) : std::string{}};
    // The longest first, and of the same place the last one mounted, which is what is seen.
    const auto before = std::ranges::find_if(
        places_, [&place](const Place& other) { return other.destination.size() <= place.destination.size(); });
    places_.insert(before, std::move(place));
  }
  places_.push_back({.destination = "/", .source = Absolute(spec.root.path, bundle)});
}

const ContainerView::Place& ContainerView::PlaceOf(const std::string& path) const {
  for (const Place& place : places_) {
    const std::string& start = place.destination;
    if (start == "/" || path == start || (path.starts_with(start) && path[start.size()] == '/')) {
      return place;
    }
  }
  return places_.back();
}

Kind ContainerView::KindOf(const std::string& path) const {
  std::deque<std::string> left = Parts(path);
  std::string at = "/";
  Kind kind = Kind::kDirectory;
  for (int links = 0; !left.empty();) {
    const std::string next = PlainPath(at, left.front());
    left.pop_front();
    const Place& place = PlaceOf(next);
    if (place.source.empty()) {
      if (next != place.destination) {
        return Kind::kMissing;
      }
      at = next;
      kind = Kind::kDirectory;
      continue;
    }
    const std::string rest = next.substr(place.destination == "/" ? 1 : place.destination.size());
    const std::size_t start = rest.find_first_not_of('/');
    const Result<Fd> base = sys::Open(place.source, O_PATH);
    const bool itself = start == std::string::npos;
    const Result<Fd> entry = !base || itself ? sys::Open(place.source, O_PATH)
                                             : sys::OpenAt2(base->get(), rest.substr(start), O_PATH | O_NOFOLLOW,
                                                            RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    struct stat status{};
    if (!base || !entry || ::fstat(entry->get(), &status) != 0) {
      return Kind::kMissing;
    }
    if (S_ISLNK(status.st_mode)) {
      const Result<std::string> target = sys::ReadLinkAt(entry->get(), "");
      if (!target || ++links > kMaxLinks) {
        return Kind::kMissing;
      }
      std::deque<std::string> parts = Parts(*target);
      left.insert(left.begin(), parts.begin(), parts.end());
      at = target->starts_with('/') ? "/" : at;
      continue;
    }
    at = next;
    kind = S_ISDIR(status.st_mode) ? Kind::kDirectory : Kind::kFile;
  }
  return kind;
}

}  // namespace nucleus::trace
