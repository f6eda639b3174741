// A file of events, from its end and as a whole: what a writer adds to it, where it can, is a line that verify accepts
// where it accepted the rest.

#include "runtime/evidence/chain.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace nucleus::evidence;
  std::string text{reinterpret_cast<const char*>(data), size};
  const Verdict before = VerifyChain(text);
  (void)VerifyChain(text, std::string(64, 'a'));
  (void)FindLink(text, false);
  const auto link = FindLink(text, true);
  if (!link || before.bad_line != 0) {
    return 0;
  }
  text += FormatLine(ChainKind::kFile, *link, 0, "T",
                     {.kind = "killed", .id = "box", .words = {}, .numbers = {}, .evidence = nullptr});
  if (VerifyChain(text).bad_line != 0) {
    std::abort();
  }
  return 0;
}
