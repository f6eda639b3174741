#include "runtime/container/ready_rules.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "runtime/container/host.h"
#include "runtime/container/net_helper.h"
#include "runtime/sys/own_cache.h"

#ifndef NUCLEUS_VERSION
#define NUCLEUS_VERSION ""
#endif

namespace nucleus::container {
namespace {

// Raised when an image, or what is read back of one, changes its form.
constexpr const char* kFormat = "rules 2";

std::string Directory() {
  return CacheDirectory("egress,cache");
}

// A new network namespace of the container's own.
bool MakesNamespace(const oci::Spec& spec) {
  const auto found = std::ranges::find(spec.linux_.namespaces, oci::NamespaceType::kNetwork, &oci::Namespace::type);
  return found != spec.linux_.namespaces.end() && found->path.empty();
}

// No names, nothing written down, nobody to be reached first: nothing that a process has to stay for.
bool IsRulesAlone(const policies::EgressPolicy& policy) {
  return !policy.log && !policy.broker && policy.dns_servers.empty() &&
         std::ranges::all_of(policy.allow, [](const policies::EgressRule& rule) { return rule.domain.empty(); }) &&
         std::ranges::all_of(policy.deny, [](const policies::EgressRule& rule) { return rule.domain.empty(); });
}

}  // namespace

std::optional<RulesPlace> PlaceOfRules(const Bundle& bundle) {
  const oci::Annotations& annotations = bundle.annotations;
  if (annotations.network != oci::NetworkMode::kOci || !annotations.publish.empty() ||
      annotations.members.number != 0 || !annotations.members.others.empty() || !bundle.policies.egress ||
      !IsRulesAlone(*bundle.policies.egress) || !MakesNamespace(*bundle.spec)) {
    return std::nullopt;
  }
  const auto& documents = bundle.policies.documents;
  const auto policy = std::ranges::find(documents, "egress", &policies::Document::kind);
  RulesPlace place{.directory = Directory(), .key = kFormat};
  const std::string helper = NetHelperIdentity();
  utsname kernel{};
  if (policy == documents.end() || place.directory.empty() || helper.empty() || ::uname(&kernel) != 0) {
    return std::nullopt;
  }
  for (const std::string_view part :
       {std::string_view{policy->file.digest}, std::string_view{NUCLEUS_VERSION}, std::string_view{kernel.release},
        std::string_view{kernel.version}, std::string_view{helper}}) {
    place.key += '\n';
    place.key += part;
  }
  return place;
}

std::optional<net::RuleImage> FindRules(const RulesPlace& place) {
  const std::optional<std::string> kept = sys::OwnCache{place.directory}.Find(place.key);
  std::optional<net::RuleImage> image = kept ? net::ParseRuleImage(*kept) : std::nullopt;
  // The kernel takes so much at once from everybody; of more, nucleus-net may have the right to send it.
  constexpr std::size_t kUsual = std::size_t{64} << 10;
  if (image && image->batch.size() > kUsual && !net::FitsIntoSocket(image->batch.size())) {
    image.reset();
  }
  return image;
}

bool MayLoadRules() {
  // setns(2) to where a process is: CAP_SYS_ADMIN, also here, and to look at it; nf_tables: CAP_NET_ADMIN.
  constexpr std::uint32_t kNeeded = 1U << CAP_SYS_ADMIN | 1U << CAP_SYS_PTRACE | 1U << CAP_NET_ADMIN;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  return ::syscall(SYS_capget, &header, sets.data()) == 0 && (sets[0].effective & kNeeded) == kNeeded;
}

Result<net::LoadedTable> LoadRulesInto(int pidfd, const net::RuleImage& image, const std::string& owner) {
  return net::LoadRules(TRY(net::Socket::OpenFilterIn(pidfd)), image, owner);
}

void ForgetRules(const RulesPlace& place) {
  sys::OwnCache{place.directory}.Forget(place.key);
}

}  // namespace nucleus::container
