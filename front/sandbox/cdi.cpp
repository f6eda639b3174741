#include "front/sandbox/cdi.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <memory>

#include "base/fd.h"
#include "oci-config/json_reader.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;

struct Node {
  std::string path;
  std::string host_path;
  std::string type;
  std::optional<std::int64_t> major;
  std::optional<std::int64_t> minor;
  std::string permissions;
};

struct Edits {
  std::vector<std::string> env;
  std::vector<Node> nodes;
  std::vector<CdiMount> mounts;
  bool others = false;  // hooks and what else cannot be done
};

struct Device {
  std::string name;
  Edits edits;
};

struct Description {
  std::string kind;
  Edits edits;
  std::vector<Device> devices;
};

void Read(oci::JsonReader& in, Node& out) {
  in.Object({{"path", out.path},
             {"hostPath", out.host_path},
             {"type", out.type},
             {"major", out.major},
             {"minor", out.minor},
             {"permissions", out.permissions}});
}

void Read(oci::JsonReader& in, CdiMount& out) {
  in.Object({{"hostPath", out.source}, {"containerPath", out.destination}, {"options", out.options}});
}

void Read(oci::JsonReader& in, Edits& out) {
  in.Map([&](std::string_view key) {
    if (key == "env") {
      oci::Read(in, out.env);
    } else if (key == "deviceNodes") {
      in.Array([&](std::size_t) { Read(in, out.nodes.emplace_back()); });
    } else if (key == "mounts") {
      in.Array([&](std::size_t) { Read(in, out.mounts.emplace_back()); });
    } else {
      out.others = true;
      in.Skip();
    }
  });
}

void Read(oci::JsonReader& in, Device& out) {
  in.Map([&](std::string_view key) {
    if (key == "name") {
      oci::Read(in, out.name);
    } else if (key == "containerEdits") {
      Read(in, out.edits);
    } else {
      in.Skip();
    }
  });
}

void Read(oci::JsonReader& in, Description& out) {
  in.Map([&](std::string_view key) {
    if (key == "kind") {
      oci::Read(in, out.kind);
    } else if (key == "devices") {
      in.Array([&](std::size_t) { Read(in, out.devices.emplace_back()); });
    } else if (key == "containerEdits") {
      Read(in, out.edits);
    } else {
      in.Skip();
    }
  });
}

Result<std::vector<std::string>> JsonFiles(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream{::opendir(directory.c_str()), ::closedir};
  if (!stream) {
    return errno == ENOENT ? Result<std::vector<std::string>>{} : std::unexpected(SysError("open", directory));
  }
  std::vector<std::string> files;
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): one thread
    const std::string name{entry->d_name};
    if (name.ends_with(".json")) {
      files.push_back(directory + "/" + name);
    }
  }
  std::ranges::sort(files);
  return files;
}

Result<Description> ReadDescription(const std::string& path) {
  const std::string text = TRY(ReadFile(path, kMaxFile));
  Description description;
  oci::JsonReader in{text, path};
  Read(in, description);
  TRY(in.Finish());
  return description;
}

Result<> Add(const Edits& edits, const std::string& name, CdiEdits& all) {
  const auto bad = [&name](const std::string& why) {
    return std::unexpected(Failure("--gpu " + name + ": its CDI description " + why, ENOTSUP));
  };
  if (edits.others) {
    return bad("asks for hooks or other edits, which are not carried out");
  }
  all.environment.insert(all.environment.end(), edits.env.begin(), edits.env.end());
  for (const Node& node : edits.nodes) {
    CdiDevice device{
        .path = node.path, .host_path = node.host_path.empty() ? node.path : node.host_path, .type = node.type};
    if (!device.path.starts_with('/')) {
      return bad("has a device node without a path");
    }
    struct stat status{};
    if (::stat(device.host_path.c_str(), &status) != 0) {
      return std::unexpected(SysError("--gpu " + name, device.host_path));
    }
    const bool block = S_ISBLK(status.st_mode);
    if (!block && !S_ISCHR(status.st_mode)) {
      return bad("names " + device.host_path + ", which is no device");
    }
    if (device.type.empty() || device.type == "u") {
      device.type = block ? "b" : "c";
    }
    device.major = node.major.value_or(major(status.st_rdev));
    device.minor = node.minor.value_or(minor(status.st_rdev));
    if (device.type != (block ? "b" : "c") || device.major != major(status.st_rdev) ||
        device.minor != minor(status.st_rdev)) {
      return bad("does not agree with " + device.host_path);
    }
    if (!node.permissions.empty()) {
      device.access = node.permissions;
    }
    if (device.access.find_first_not_of("rwm") != std::string::npos) {
      return bad("has permissions \"" + device.access + "\"");
    }
    all.devices.push_back(std::move(device));
  }
  for (const CdiMount& mount : edits.mounts) {
    if (!mount.source.starts_with('/') || !mount.destination.starts_with('/')) {
      return bad("has a mount without paths");
    }
    all.mounts.push_back(mount);
  }
  return {};
}

}  // namespace

Result<CdiEdits> FindCdiDevices(const std::vector<std::string>& names, const std::vector<std::string>& directories) {
  std::vector<Description> descriptions;
  for (const std::string& directory : directories) {
    for (const std::string& path : TRY_IN("--gpu", JsonFiles(directory))) {
      descriptions.push_back(TRY_IN("--gpu", ReadDescription(path)));
    }
  }
  CdiEdits all;
  std::vector<const Description*> used;
  for (const std::string& name : names) {
    bool found = false;
    for (const Description& description : descriptions) {
      for (const Device& device : description.devices) {
        if (name != description.kind + "=" + device.name) {
          continue;
        }
        if (found) {
          return std::unexpected(Failure("--gpu " + name + ": described twice", EINVAL));
        }
        found = true;
        TRY(Add(device.edits, name, all));
        if (std::ranges::find(used, &description) == used.end()) {
          used.push_back(&description);
          TRY(Add(description.edits, name, all));
        }
      }
    }
    if (!found) {
      std::string listed;
      for (const std::string& directory : directories) {
        listed += (listed.empty() ? "" : ", ") + directory;
      }
      return std::unexpected(Failure("--gpu " + name + ": no CDI description has it in " + listed, ENOENT));
    }
  }
  return all;
}

}  // namespace nucleus::front
