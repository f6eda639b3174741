#include "runtime/egress/helper/keep_rules.h"

#include <fcntl.h>

#include "runtime/egress/nft/batch.h"
#include "runtime/egress/rules/inner.h"
#include "runtime/net/present_rules.h"
#include "runtime/net/rule_image.h"
#include "runtime/sys/own_cache.h"

namespace nucleus::egress {

void KeepRules(nft::Socket& inner, const Compiled& compiled, const nft::Loaded& loaded,
               const net::HelperRequest& request) {
  // The kernel's own words, as whoever loads the image will have them.
  net::Socket socket = net::Socket::AdoptFilter(Fd{::fcntl(inner.fd(), F_DUPFD_CLOEXEC, 3)});
  const Result<net::PresentRules> present = net::ReadRules(socket);
  if (!present || present->owner != request.id) {
    return;
  }
  nft::Table table = InnerTable(compiled, {.owner = {}, .generation = request.generation, .log_group = std::nullopt});
  nft::Batch batch;
  batch.AddAll(table, true);
  const net::RuleImage image{
      .batch = batch.Finish(), .digest = present->digest, .rules = loaded.rules, .elements = loaded.elements};
  sys::OwnCache{request.image_directory}.Keep(request.image_key, net::Format(image));
}

}  // namespace nucleus::egress
