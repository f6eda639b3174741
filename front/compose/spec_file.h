// What a service was started with, kept beside its bundle: where an `up` fails, the one before is started again with
// it.
#pragma once

#include <string>

#include "base/error.h"
#include "front/service/service.h"

namespace nucleus::front::compose {

std::string FormatSpec(const ServiceSpec& spec);
Result<ServiceSpec> ParseSpec(std::string_view text, std::string_view name);

}  // namespace nucleus::front::compose
