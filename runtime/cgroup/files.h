// Reading and writing the files of one cgroup. Inside runtime/cgroup only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci-config/state.h"

namespace nucleus::cgroup {

// Writes `value` to directory/file in one write(2), as the kernel wants it.
Result<> Write(const std::string& directory, const std::string& file, std::string_view value);
// The whole file, without the last newline.
Result<std::string> Read(const std::string& directory, const std::string& file);
bool Exists(const std::string& directory, const std::string& file);

// The container's directory in the hierarchy that has `controller` (v1), or in v2 (""); null where there is none.
const std::string* DirectoryOf(const std::vector<oci::StateCgroup>& cgroups, std::string_view controller);

}  // namespace nucleus::cgroup
