// config.json's `linux.resources`.

#include <algorithm>
#include <cctype>

#include "oci-config/parse.h"
#include "oci-config/read.h"

namespace nucleus::oci {

// Static, not in an unnamed namespace: lookup by argument must find the Read functions.

static void Read(JsonReader& in, DeviceRule& out) {
  out = {};
  std::string type;
  in.Object({{"allow", out.allow}, {"type", type}, {"major", out.major}, {"minor", out.minor}, {"access", out.access}});
  in.Check(type.empty() || type == "a" || type == "b" || type == "c", "type", "unknown device type \"" + type + "\"");
  out.type = type.empty() ? 'a' : type[0];
  in.Check(out.access.find_first_not_of("rwm") == std::string::npos, "access", "must be made of r, w and m");
  // 2^32 - 1 would mean "any" to the v1 controller.
  in.Check(!out.major || (*out.major >= -1 && *out.major < UINT32_MAX), "major", "out of range");
  in.Check(!out.minor || (*out.minor >= -1 && *out.minor < UINT32_MAX), "minor", "out of range");
}

static void Read(JsonReader& in, MemoryResources& out) {
  out = {};
  in.Object({{"limit", out.limit},
             {"reservation", out.reservation},
             {"swap", out.swap},
             {"kernel", out.kernel},
             {"kernelTCP", out.kernel_tcp},
             {"swappiness", out.swappiness},
             {"disableOOMKiller", out.disable_oom_killer},
             {"useHierarchy", out.use_hierarchy},
             {"checkBeforeUpdate", out.check_before_update}});
  in.Check(!out.limit || *out.limit >= -1, "limit", "out of range");
  in.Check(!out.reservation || *out.reservation >= -1, "reservation", "out of range");
  in.Check(!out.swap || *out.swap >= -1, "swap", "out of range");
  // -1 written through an unsigned type, as Docker's daemon does for "not set".
  if (out.swappiness == UINT64_MAX) {
    out.swappiness.reset();
  }
  in.Check(!out.swappiness || *out.swappiness <= 100, "swappiness", "must be from 0 to 100");
}

static void Read(JsonReader& in, CpuResources& out) {
  out = {};
  in.Object({{"shares", out.shares},
             {"quota", out.quota},
             {"burst", out.burst},
             {"period", out.period},
             {"realtimeRuntime", out.realtime_runtime},
             {"realtimePeriod", out.realtime_period},
             {"cpus", out.cpus},
             {"mems", out.mems},
             {"idle", out.idle}});
  in.Check(out.cpus.empty() || IsNumberList(out.cpus), "cpus", "malformed CPU list");
  in.Check(out.mems.empty() || IsNumberList(out.mems), "mems", "malformed node list");
}

static void Read(JsonReader& in, WeightDevice& out) {
  out = {};
  in.Object({{"major", out.major}, {"minor", out.minor}, {"weight", out.weight}, {"leafWeight", out.leaf_weight}});
}

static void Read(JsonReader& in, ThrottleDevice& out) {
  out = {};
  in.Object({{"major", out.major}, {"minor", out.minor}, {"rate", out.rate}});
}

static void Read(JsonReader& in, BlockIoResources& out) {
  out = {};
  in.Object({{"weight", out.weight},
             {"leafWeight", out.leaf_weight},
             {"weightDevice", out.weight_device},
             {"throttleReadBpsDevice", out.throttle_read_bps_device},
             {"throttleWriteBpsDevice", out.throttle_write_bps_device},
             {"throttleReadIOPSDevice", out.throttle_read_iops_device},
             {"throttleWriteIOPSDevice", out.throttle_write_iops_device}});
}

// "64KB", "2MB", "1GB": the form of the kernel's own file names.
static bool IsPageSize(std::string_view text) {
  const std::size_t digits = text.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string_view::npos &&
         (text.substr(digits) == "KB" || text.substr(digits) == "MB" || text.substr(digits) == "GB");
}

static void Read(JsonReader& in, HugepageLimit& out) {
  out = {};
  in.Object({{"pageSize", out.page_size}, {"limit", out.limit}});
  in.Check(IsPageSize(out.page_size), "pageSize", "must be a number and KB, MB or GB");
}

static void Read(JsonReader& in, InterfacePriority& out) {
  out = {};
  in.Object({{"name", out.name}, {"priority", out.priority}});
  in.Check(!out.name.empty(), "name", "required");
}

static void Read(JsonReader& in, NetworkResources& out) {
  out = {};
  in.Object({{"classID", out.class_id}, {"priorities", out.priorities}});
}

static void Read(JsonReader& in, RdmaLimit& out) {
  out = {};
  in.Object({{"hcaHandles", out.hca_handles}, {"hcaObjects", out.hca_objects}});
}

struct Pids {
  std::optional<std::int64_t> limit;
};

static void Read(JsonReader& in, Pids& out) {
  out = {};
  in.Object({{"limit", out.limit}});
}

void Read(JsonReader& in, Resources& out) {
  out = {};
  Pids pids;
  in.Object({{"devices", out.devices},
             {"memory", out.memory},
             {"cpu", out.cpu},
             {"pids", pids},
             {"blockIO", out.block_io},
             {"hugepageLimits", out.hugepage_limits},
             {"network", out.network},
             {"rdma", out.rdma},
             {"unified", out.unified}});
  out.pids_limit = pids.limit;
  for (const auto& [file, value] : out.unified) {
    in.Check(!file.empty() && file.find('/') == std::string::npos && file != "." && file != "..",
             "unified[\"" + file + "\"]", "not a file name");
  }
}

Result<Resources> ParseResources(std::string_view json, std::string_view name) {
  JsonReader in{json, name};
  Resources resources;
  Read(in, resources);
  TRY(in.Finish());
  return resources;
}

}  // namespace nucleus::oci
