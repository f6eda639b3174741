// The Read functions of the larger parts of config.json, each in the file of its subject. Inside oci-config only.
#pragma once

#include "oci-config/json_reader.h"
#include "oci-config/spec.h"

namespace nucleus::oci {

void Read(JsonReader& in, IdMapping& out);  // mappings.cpp
void Read(JsonReader& in, Process& out);    // process.cpp
void Read(JsonReader& in, Mount& out);      // mounts.cpp
void Read(JsonReader& in, Root& out);       //
void Read(JsonReader& in, Hook& out);       // hooks.cpp
void Read(JsonReader& in, Hooks& out);      //
void Read(JsonReader& in, Linux& out);      // linux.cpp
void Read(JsonReader& in, Resources& out);  // resources.cpp
void Read(JsonReader& in, Seccomp& out);    // seccomp.cpp

// Sizes above 0 and no overlap on either side; `property` names the list in errors.
void CheckMappings(JsonReader& in, std::string_view property, const std::vector<IdMapping>& mappings);

// "0-3,7": numbers and ranges, ascending within a range.
bool IsNumberList(std::string_view text);

inline bool IsAbsolute(std::string_view path) {
  return path.starts_with('/');
}

}  // namespace nucleus::oci
