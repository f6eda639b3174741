// egress: what a container may connect to, what it was refused, and a new policy for it.

#include "runtime/container/egress.h"

#include <unistd.h>

#include "base/fd.h"
#include "runtime/net/refusal.h"
#include "shim/cli/commands.h"

namespace nucleus::shim {

Result<int> Egress(const container::Settings& settings, const EgressCommand& command) {
  if (!command.policy.empty()) {
    const std::string facts = TRY(container::ReplaceEgress(settings, command.id, command.policy));
    TRY(WriteAll(STDOUT_FILENO, facts + "\n", "standard output"));
    return 0;
  }
  if (command.follow) {
    TRY(container::FollowRefusals(settings, command.id, [&command](std::string_view line) {
      const std::optional<net::Refusal> refusal = command.json ? std::nullopt : net::ParseRefusal(line);
      return WriteAll(STDOUT_FILENO, (refusal ? net::RefusalText(*refusal) : std::string{line}) + "\n",
                      "standard output");
    }));
    return 0;
  }
  const std::string text = TRY(container::ShowEgress(settings, command.id, command.json));
  TRY(WriteAll(STDOUT_FILENO, text, "standard output"));
  return 0;
}

}  // namespace nucleus::shim
