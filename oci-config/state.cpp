#include "oci-config/state.h"

#include "base/json_writer.h"
#include "oci-config/json_reader.h"

namespace nucleus::oci {

// Static, not in an unnamed namespace: lookup by argument must find the Read functions.
static void Read(JsonReader& in, StateCgroup& out) {
  out = {};
  in.Object({{"hierarchy", out.hierarchy}, {"path", out.path}, {"created", out.created}});
  in.Check(out.path.starts_with('/'), "path", "must be an absolute path");
}

static void Read(JsonReader& in, StateResctrl& out) {
  out = {};
  in.Object({{"directory", out.directory}, {"created", out.created}, {"monitor", out.monitor}});
  in.Check(out.directory.starts_with('/'), "directory", "must be an absolute path");
  in.Check(out.monitor.empty() || out.monitor.starts_with('/'), "monitor", "must be an absolute path");
}

static void Read(JsonReader& in, StateSystemd& out) {
  out = {};
  in.Object({{"unit", out.unit}, {"path", out.path}, {"user", out.user}, {"made", out.made}});
  in.Check(!out.unit.empty(), "unit", "required");
  in.Check(out.path.starts_with('/'), "path", "must be an absolute path");
}

static void Read(JsonReader& in, StateTracer& out) {
  out = {};
  in.Object({{"pid", out.pid}, {"startTime", out.start_time}, {"file", out.file}});
  in.Check(out.pid > 0, "pid", "out of range");
  in.Check(out.file.starts_with('/'), "file", "must be an absolute path");
}

static void Read(JsonReader& in, StateNetwork& out) {
  out = {};
  in.Object({{"mode", out.mode},
             {"filtered", out.filtered},
             {"record", out.record},
             {"joined", out.joined},
             {"generation", out.generation},
             {"pid", out.pid},
             {"startTime", out.start_time}});
  in.Check(!out.mode.empty(), "mode", "required");
  in.Check(out.joined.empty() || out.joined.starts_with('/'), "joined", "must be an absolute path");
  in.Check(out.pid >= 0, "pid", "out of range");
}

static void Read(JsonReader& in, StateGvisor& out) {
  out = {};
  in.Object(
      {{"id", out.id}, {"version", out.version}, {"device", out.device}, {"inode", out.inode}, {"flags", out.flags}});
  in.Check(!out.id.empty(), "id", "required");
}

static void Read(JsonReader& in, Degradation& out) {
  out = {};
  in.Object({{"stage", out.stage}, {"reason", out.reason}});
}

static void Read(JsonReader& in, Phase& out) {
  ReadWord(in, out, "phase",
           {{"creating", Phase::kCreating}, {"created", Phase::kCreated}, {"running", Phase::kRunning}});
}

static std::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kCreating:
      return "creating";
    case Phase::kCreated:
      return "created";
    case Phase::kRunning:
      break;
  }
  return "running";
}

static void WriteMap(JsonWriter& out, std::string_view key, const StringMap& map) {
  if (map.empty()) {
    return;
  }
  out.Key(key).BeginObject();
  for (const auto& [name, value] : map) {
    out.Key(name).String(value);
  }
  out.EndObject();
}

static void WriteOciState(JsonWriter& out, const State& state, std::string_view status) {
  out.BeginObject();
  out.Key("ociVersion").String(state.oci_version);
  out.Key("id").String(state.id);
  out.Key("status").String(status);
  if (state.pid > 0) {
    out.Key("pid").Int(state.pid);
  }
  out.Key("bundle").String(state.bundle);
  WriteMap(out, "annotations", state.annotations);
  out.EndObject();
}

Result<State> ParseState(std::string_view json, std::string_view name) {
  JsonReader in{json, name};
  State state;
  in.Object({{"version", state.version},
             {"ociVersion", state.oci_version},
             {"id", state.id},
             {"phase", state.phase},
             {"pid", state.pid},
             {"startTime", state.start_time},
             {"bundle", state.bundle},
             {"rootfs", state.rootfs},
             {"created", state.created},
             {"owner", state.owner},
             {"init", state.init},
             {"keyring", state.keyring},
             {"systemd", state.systemd},
             {"cgroups", state.cgroups},
             {"resctrl", state.resctrl},
             {"tracer", state.tracer},
             {"network", state.network},
             {"gvisor", state.gvisor},
             {"degradations", state.degradations},
             {"evidence", state.evidence},
             {"annotations", state.annotations}});
  in.Check(state.version == kStateVersion, "version", "unknown version " + std::to_string(state.version));
  in.Check(!state.id.empty(), "id", "required");
  in.Check(state.pid >= 0, "pid", "out of range");
  in.Check(state.bundle.starts_with('/'), "bundle", "must be an absolute path");
  TRY(in.Finish());
  return state;
}

std::string FormatState(const State& state) {
  JsonWriter out;
  out.BeginObject();
  out.Key("version").Int(state.version);
  out.Key("ociVersion").String(state.oci_version);
  out.Key("id").String(state.id);
  out.Key("phase").String(PhaseName(state.phase));
  out.Key("pid").Int(state.pid);
  out.Key("startTime").Uint(state.start_time);
  out.Key("bundle").String(state.bundle);
  out.Key("rootfs").String(state.rootfs);
  out.Key("created").String(state.created);
  out.Key("owner").Uint(state.owner);
  if (state.init) {
    out.Key("init").Bool(true);
  }
  out.Key("keyring").Bool(state.keyring);
  if (!state.systemd.unit.empty()) {
    out.Key("systemd").BeginObject();
    out.Key("unit").String(state.systemd.unit);
    out.Key("path").String(state.systemd.path);
    out.Key("user").Bool(state.systemd.user);
    out.Key("made").Bool(state.systemd.made);
    out.EndObject();
  }
  out.Key("cgroups").BeginArray();
  for (const StateCgroup& cgroup : state.cgroups) {
    out.BeginObject();
    out.Key("hierarchy").String(cgroup.hierarchy);
    out.Key("path").String(cgroup.path);
    out.Key("created").Bool(cgroup.created);
    out.EndObject();
  }
  out.EndArray();
  if (!state.resctrl.directory.empty()) {
    out.Key("resctrl").BeginObject();
    out.Key("directory").String(state.resctrl.directory);
    out.Key("created").Bool(state.resctrl.created);
    out.Key("monitor").String(state.resctrl.monitor);
    out.EndObject();
  }
  if (state.tracer.pid > 0) {
    out.Key("tracer").BeginObject();
    out.Key("pid").Int(state.tracer.pid);
    out.Key("startTime").Uint(state.tracer.start_time);
    out.Key("file").String(state.tracer.file);
    out.EndObject();
  }
  if (!state.network.mode.empty()) {
    out.Key("network").BeginObject();
    out.Key("mode").String(state.network.mode);
    out.Key("filtered").Bool(state.network.filtered);
    out.Key("record").String(state.network.record);
    out.Key("joined").String(state.network.joined);
    out.Key("generation").Uint(state.network.generation);
    out.Key("pid").Int(state.network.pid);
    out.Key("startTime").Uint(state.network.start_time);
    out.EndObject();
  }
  if (!state.gvisor.id.empty()) {
    out.Key("gvisor").BeginObject();
    out.Key("id").String(state.gvisor.id);
    out.Key("version").String(state.gvisor.version);
    out.Key("device").Uint(state.gvisor.device);
    out.Key("inode").Uint(state.gvisor.inode);
    out.Key("flags").BeginArray();
    for (const std::string& flag : state.gvisor.flags) {
      out.String(flag);
    }
    out.EndArray();
    out.EndObject();
  }
  if (!state.degradations.empty()) {
    out.Key("degradations").BeginArray();
    for (const Degradation& degradation : state.degradations) {
      out.BeginObject();
      out.Key("stage").String(degradation.stage);
      out.Key("reason").String(degradation.reason);
      out.EndObject();
    }
    out.EndArray();
  }
  WriteMap(out, "evidence", state.evidence);
  WriteMap(out, "annotations", state.annotations);
  out.EndObject();
  return out.Take();
}

std::string FormatOciState(const State& state, std::string_view status) {
  JsonWriter out;
  WriteOciState(out, state, status);
  return out.Take();
}

std::string FormatContainerProcessState(const State& state, std::string_view status, std::int32_t pid,
                                        std::string_view metadata) {
  JsonWriter out;
  out.BeginObject();
  out.Key("ociVersion").String(state.oci_version);
  out.Key("fds").BeginArray().String("seccompFd").EndArray();
  out.Key("pid").Int(pid);
  if (!metadata.empty()) {
    out.Key("metadata").String(metadata);
  }
  out.Key("state");
  WriteOciState(out, state, status);
  out.EndObject();
  return out.Take();
}

}  // namespace nucleus::oci
