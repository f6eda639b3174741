#include "runtime/init/image.h"

// NOLINTNEXTLINE(hicpp-no-assembler): the assembler takes a file in as it is.
__asm__(
    ".section .rodata\n"
    ".globl NucleusInitImage, NucleusInitImageEnd\n"
    ".hidden NucleusInitImage\n"
    ".hidden NucleusInitImageEnd\n"
    "NucleusInitImage:\n"
    ".incbin \"" NUCLEUS_INIT_IMAGE
    "\"\n"
    "NucleusInitImageEnd:\n"
    ".text\n");

// NOLINTBEGIN(modernize-avoid-c-arrays)
extern "C" [[gnu::visibility("hidden")]] const char NucleusInitImage[];
extern "C" [[gnu::visibility("hidden")]] const char NucleusInitImageEnd[];
// NOLINTEND(modernize-avoid-c-arrays)

namespace nucleus::init {

std::string_view Image() {
  return {NucleusInitImage, NucleusInitImageEnd};
}

}  // namespace nucleus::init
