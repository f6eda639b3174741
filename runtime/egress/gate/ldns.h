// ldns, without the macros `bool`, `true` and `false` that its header makes of C++'s words (ldns/common.h).
#pragma once

#include <ldns/ldns.h>

#undef bool
#undef true
#undef false
