// nucleus-systemd: one request of the runtime's (runtime/systemd/request.h) to systemd, through D-Bus. A program of its
// own because libsystemd is to be had as a shared library only, and the runtime is static. It decides nothing. Exit
// status: 0 done, 1 an error, whose text is on the standard output.

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "base/fd.h"
#include "runtime/systemd/request.h"

namespace nucleus::systemd {
namespace {

constexpr const char* kDestination = "org.freedesktop.systemd1";
constexpr const char* kPath = "/org/freedesktop/systemd1";
constexpr const char* kInterface = "org.freedesktop.systemd1.Manager";
constexpr const char* kCommand = "a(sasb)";
// Of one job: as long as runc waits.
constexpr std::uint64_t kJobTimeoutUs = 30'000'000;

std::uint64_t NowUs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

std::unexpected<Error> BusError(std::string_view what, int result, const sd_bus_error* error = nullptr) {
  const int code = result < 0 ? -result : EIO;
  const bool told = error != nullptr && error->message != nullptr;
  return std::unexpected(
      Failure(std::string{what} + ": " + (told ? std::string{error->message} : ErrnoText(code)), code));
}

struct Message {
  sd_bus_message* get = nullptr;
  Message() = default;
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() {
    sd_bus_message_unref(get);
  }
};

struct CallError {
  sd_bus_error get = SD_BUS_ERROR_NULL;
  CallError() = default;
  CallError(const CallError&) = delete;
  CallError& operator=(const CallError&) = delete;
  ~CallError() {
    sd_bus_error_free(&get);
  }
  [[nodiscard]] bool Is(const char* name) const {
    return sd_bus_error_has_name(&get, name) != 0;
  }
};

// Where a job has come to; the signal may arrive before the answer that names it.
struct Jobs {
  std::string wanted;  // the unit
  std::string job;     // its object path, once known
  std::string ended;   // the path of one of this unit's that has ended, and with what
  std::string result;
};

int OnJobRemoved(sd_bus_message* message, void* data, sd_bus_error* /*error*/) {
  auto* jobs = static_cast<Jobs*>(data);
  std::uint32_t id = 0;
  const char* path = nullptr;
  const char* unit = nullptr;
  const char* result = nullptr;
  if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0 && jobs->wanted == unit &&
      (jobs->job.empty() || jobs->job == path)) {
    jobs->ended = path;
    jobs->result = result;
  }
  return 0;
}

class Manager {
 public:
  Manager() = default;
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() {
    sd_bus_flush_close_unref(bus_);
  }

  // systemd's own socket, which is the caller's alone and needs no broker; else the bus.
  Result<> Connect(bool user) {
    const char* directory = std::getenv("XDG_RUNTIME_DIR");
    std::string address = "unix:path=/run/systemd/private";
    if (user) {
      address = directory == nullptr ? "" : "unix:path=" + EscapeAddress(directory) + "/systemd/private";
    }
    if (!address.empty() && ConnectDirectly(address)) {
      return {};
    }
    const int result = user ? sd_bus_open_user(&bus_) : sd_bus_open_system(&bus_);
    if (result < 0) {
      return BusError(user ? "cannot reach the user's systemd" : "cannot reach systemd", result);
    }
    // Without a subscription a manager sends no signals over the bus.
    return CallPlain("Subscribe");
  }

  Result<> Run(const Request& request) {
    switch (request.operation) {
      case Operation::kStart:
        return Start(request);
      case Operation::kSet:
        return SetProperties(request);
      case Operation::kAttach:
        return Attach(request);
      case Operation::kLaunch:
        return Launch(request);
      case Operation::kStop:
        return Stop(request.unit);
    }
    return std::unexpected(Failure("malformed request", EPROTO));
  }

 private:
  // Source: D-Bus Specification, "Server Addresses".
  static std::string EscapeAddress(const char* path) {
    std::string text;
    for (const char* c = path; *c != '\0'; ++c) {
      const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                         std::strchr("-_/.\\*", *c) != nullptr;
      if (plain) {
        text += *c;
      } else {
        char code[8];
        std::snprintf(code, sizeof code, "%%%02x", static_cast<unsigned>(static_cast<unsigned char>(*c)));
        text += code;
      }
    }
    return text;
  }

  bool ConnectDirectly(const std::string& address) {
    sd_bus* bus = nullptr;
    if (sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, address.c_str()) >= 0 && sd_bus_start(bus) >= 0) {
      bus_ = bus;
      return true;
    }
    sd_bus_unref(bus);
    return false;
  }

  Result<> CallPlain(const char* method) {
    CallError error;
    const int result = sd_bus_call_method(bus_, kDestination, kPath, kInterface, method, &error.get, nullptr, "");
    return result < 0 ? BusError(method, result, &error.get) : Result<>{};
  }

  Result<> NewCall(Message& call, const char* method) {
    const int result = sd_bus_message_new_method_call(bus_, &call.get, kDestination, kPath, kInterface, method);
    return result < 0 ? BusError(method, result) : Result<>{};
  }

  static int AppendBasic(sd_bus_message* message, char type, const std::string& text) {
    const char* words = text.c_str();
    switch (type) {
      case 's':
      case 'o':
      case 'g':
        return sd_bus_message_append_basic(message, type, words);
      case 'b':
        return sd_bus_message_append(message, "b", text == "true" ? 1 : 0);
      case 'y':
        return sd_bus_message_append(message, "y", static_cast<std::uint8_t>(std::strtoul(words, nullptr, 10)));
      case 'n':
        return sd_bus_message_append(message, "n", static_cast<std::int16_t>(std::strtol(words, nullptr, 10)));
      case 'q':
        return sd_bus_message_append(message, "q", static_cast<std::uint16_t>(std::strtoul(words, nullptr, 10)));
      case 'i':
        return sd_bus_message_append(message, "i", static_cast<std::int32_t>(std::strtol(words, nullptr, 10)));
      case 'u':
        return sd_bus_message_append(message, "u", static_cast<std::uint32_t>(std::strtoul(words, nullptr, 10)));
      case 'x':
        return sd_bus_message_append(message, "x", static_cast<std::int64_t>(std::strtoll(words, nullptr, 10)));
      case 't':
        return sd_bus_message_append(message, "t", static_cast<std::uint64_t>(std::strtoull(words, nullptr, 10)));
      case 'd':
        return sd_bus_message_append(message, "d", std::strtod(words, nullptr));
      default:
        return -EINVAL;
    }
  }

  // ExecStart: of one command, whose failure counts.
  static int AppendCommand(sd_bus_message* message, const std::vector<std::string>& words) {
    if (words.size() < 2) {
      return -EINVAL;
    }
    int result = sd_bus_message_open_container(message, 'a', "(sasb)");
    result = result < 0 ? result : sd_bus_message_open_container(message, 'r', "sasb");
    result = result < 0 ? result : sd_bus_message_append_basic(message, 's', words[0].c_str());
    result = result < 0 ? result : sd_bus_message_open_container(message, 'a', "s");
    for (std::size_t i = 1; i < words.size(); ++i) {
      result = result < 0 ? result : sd_bus_message_append_basic(message, 's', words[i].c_str());
    }
    result = result < 0 ? result : sd_bus_message_close_container(message);
    result = result < 0 ? result : sd_bus_message_append(message, "b", 0);
    result = result < 0 ? result : sd_bus_message_close_container(message);
    return result < 0 ? result : sd_bus_message_close_container(message);
  }

  static int AppendProperty(sd_bus_message* message, const Property& property) {
    if (property.signature == kCommand) {
      int result = sd_bus_message_open_container(message, 'r', "sv");
      result = result < 0 ? result : sd_bus_message_append_basic(message, 's', property.name.c_str());
      result = result < 0 ? result : sd_bus_message_open_container(message, 'v', kCommand);
      result = result < 0 ? result : AppendCommand(message, property.items);
      result = result < 0 ? result : sd_bus_message_close_container(message);
      return result < 0 ? result : sd_bus_message_close_container(message);
    }
    const bool array = property.signature.size() == 2 && property.signature[0] == 'a';
    if (property.signature.size() != (array ? 2U : 1U) || (!array && property.items.size() != 1)) {
      return -EINVAL;
    }
    const char type = property.signature.back();
    const std::string element(1, type);
    int result = sd_bus_message_open_container(message, 'r', "sv");
    result = result < 0 ? result : sd_bus_message_append_basic(message, 's', property.name.c_str());
    result = result < 0 ? result : sd_bus_message_open_container(message, 'v', property.signature.c_str());
    if (array) {
      result = result < 0 ? result : sd_bus_message_open_container(message, 'a', element.c_str());
    }
    for (const std::string& item : property.items) {
      result = result < 0 ? result : AppendBasic(message, type, item);
    }
    if (array) {
      result = result < 0 ? result : sd_bus_message_close_container(message);
    }
    result = result < 0 ? result : sd_bus_message_close_container(message);
    return result < 0 ? result : sd_bus_message_close_container(message);
  }

  static Result<> AppendProperties(sd_bus_message* message, const std::vector<Property>& properties) {
    int result = sd_bus_message_open_container(message, 'a', "(sv)");
    for (const Property& property : properties) {
      result = result < 0 ? result : AppendProperty(message, property);
      if (result < 0) {
        return BusError(property.name, result);
      }
    }
    result = result < 0 ? result : sd_bus_message_close_container(message);
    return result < 0 ? BusError("properties", result) : Result<>{};
  }

  // Listens for the ends of jobs of `unit`: before the job is asked for.
  Result<> Listen(const std::string& unit) {
    jobs_ = Jobs{.wanted = unit, .job = {}, .ended = {}, .result = {}};
    if (listening_) {
      return {};
    }
    const int result =
        sd_bus_match_signal(bus_, nullptr, nullptr, kPath, kInterface, "JobRemoved", OnJobRemoved, &jobs_);
    if (result < 0) {
      return BusError("JobRemoved", result);
    }
    listening_ = true;
    return {};
  }

  // Until the job that `reply` names has ended; its result ("done" where all went well).
  Result<std::string> AwaitJob(sd_bus_message* reply) {
    const char* path = nullptr;
    if (const int result = sd_bus_message_read(reply, "o", &path); result < 0) {
      return BusError("job", result);
    }
    jobs_.job = path;
    const std::uint64_t end = NowUs() + kJobTimeoutUs;
    while (jobs_.ended != jobs_.job) {
      const int processed = sd_bus_process(bus_, nullptr);
      if (processed < 0) {
        return BusError("lost the connection to systemd", processed);
      }
      if (processed > 0) {
        continue;
      }
      const std::uint64_t now = NowUs();
      if (now >= end) {
        return std::unexpected(Failure("timed out waiting for the job of " + jobs_.wanted, ETIMEDOUT));
      }
      if (const int waited = sd_bus_wait(bus_, end - now); waited < 0 && waited != -EINTR) {
        return BusError("lost the connection to systemd", waited);
      }
    }
    return jobs_.result;
  }

  // False: there is such a unit.
  Result<bool> AskToStart(const Request& request, Message& reply) {
    Message call;
    TRY(NewCall(call, "StartTransientUnit"));
    if (const int result = sd_bus_message_append(call.get, "ss", request.unit.c_str(), "fail"); result < 0) {
      return BusError("StartTransientUnit", result);
    }
    TRY(AppendProperties(call.get, request.properties));
    if (const int result = sd_bus_message_append(call.get, "a(sa(sv))", 0); result < 0) {
      return BusError("StartTransientUnit", result);
    }
    CallError error;
    const int result = sd_bus_call(bus_, call.get, 0, &error.get, &reply.get);
    if (result < 0 && error.Is("org.freedesktop.systemd1.UnitExists")) {
      exists_ = error.get.message != nullptr ? error.get.message : "it exists";
      return false;
    }
    if (result < 0) {
      return BusError("cannot start " + request.unit, result, &error.get);
    }
    return true;
  }

  Result<> Launch(const Request& request) {
    Message reply;
    if (TRY(AskToStart(request, reply))) {
      return {};
    }
    ResetFailed(request.unit);
    Message again;
    if (TRY(AskToStart(request, again))) {
      return {};
    }
    // One that has ended is kept while another unit refers to it (After=, Wants=): it is the same one, or none can be
    // made.
    if (!TRY(IsKept(request))) {
      return std::unexpected(Failure("cannot start " + request.unit + ": " + exists_, EEXIST));
    }
    CallError error;
    const int result = sd_bus_call_method(bus_, kDestination, kPath, kInterface, "StartUnit", &error.get, nullptr, "ss",
                                          request.unit.c_str(), "fail");
    return result < 0 ? BusError("cannot start " + request.unit, result, &error.get) : Result<>{};
  }

  // Whether there is the unit that `request` would make, by the mark in its environment, and does not run.
  Result<bool> IsKept(const Request& request) {
    const auto wanted = std::ranges::find(request.properties, "Environment", &Property::name);
    CallError error;
    Message reply;
    int result = sd_bus_call_method(bus_, kDestination, kPath, kInterface, "GetUnit", &error.get, &reply.get, "s",
                                    request.unit.c_str());
    const char* path = nullptr;
    result = result < 0 ? result : sd_bus_message_read(reply.get, "o", &path);
    if (result < 0) {
      return BusError(request.unit, result, &error.get);
    }
    char* state = nullptr;
    char** environment = nullptr;
    result = sd_bus_get_property_string(bus_, kDestination, path, "org.freedesktop.systemd1.Unit", "ActiveState",
                                        &error.get, &state);
    result = result < 0 ? result
                        : sd_bus_get_property_strv(bus_, kDestination, path, "org.freedesktop.systemd1.Service",
                                                   "Environment", &error.get, &environment);
    std::vector<std::string> found;
    for (char** word = environment; word != nullptr && *word != nullptr; ++word) {
      found.emplace_back(*word);
      std::free(*word);
    }
    std::free(static_cast<void*>(environment));
    const std::string_view is = state != nullptr ? state : "";
    const bool ended = is == "inactive" || is == "failed";
    std::free(state);
    if (result < 0) {
      return BusError(request.unit, result, &error.get);
    }
    if (ended && wanted != request.properties.end() && found != wanted->items) {
      exists_ = "systemd keeps it as it was before, for another unit refers to it";
    }
    return ended && wanted != request.properties.end() && found == wanted->items;
  }

  Result<bool> StartOnce(const Request& request) {
    TRY(Listen(request.unit));
    Message reply;
    if (!TRY(AskToStart(request, reply))) {
      return false;
    }
    Result<std::string> ended = AwaitJob(reply.get);
    if (!ended || *ended != "done") {
      (void)Stop(request.unit);
      return ended ? std::unexpected(Failure("cannot start " + request.unit + ": its job ended with " + *ended, EIO))
                   : std::unexpected(ended.error());
    }
    return true;
  }

  Result<> Start(const Request& request) {
    if (TRY(StartOnce(request))) {
      return {};
    }
    // It may be one that failed, and that systemd keeps for somebody to look at.
    ResetFailed(request.unit);
    if (TRY(StartOnce(request))) {
      return {};
    }
    return std::unexpected(Failure("cannot start " + request.unit + ": " + exists_, EEXIST));
  }

  Result<> SetProperties(const Request& request) {
    Message call;
    TRY(NewCall(call, "SetUnitProperties"));
    if (const int result = sd_bus_message_append(call.get, "sb", request.unit.c_str(), 1); result < 0) {
      return BusError("SetUnitProperties", result);
    }
    TRY(AppendProperties(call.get, request.properties));
    CallError error;
    const int result = sd_bus_call(bus_, call.get, 0, &error.get, nullptr);
    return result < 0 ? BusError("cannot set properties of " + request.unit, result, &error.get) : Result<>{};
  }

  Result<> Attach(const Request& request) {
    Message call;
    TRY(NewCall(call, "AttachProcessesToUnit"));
    std::string below = "/";
    std::string pid = "0";
    for (const Property& property : request.properties) {
      (property.name == "Subgroup" ? below : pid) = property.items.empty() ? "" : property.items[0];
    }
    const int appended = sd_bus_message_append(call.get, "ssau", request.unit.c_str(), below.c_str(), 1,
                                               static_cast<std::uint32_t>(std::strtoul(pid.c_str(), nullptr, 10)));
    if (appended < 0) {
      return BusError("AttachProcessesToUnit", appended);
    }
    CallError error;
    const int result = sd_bus_call(bus_, call.get, 0, &error.get, nullptr);
    return result < 0 ? BusError("cannot put a process into " + request.unit, result, &error.get) : Result<>{};
  }

  void ResetFailed(const std::string& unit) {
    CallError error;
    (void)sd_bus_call_method(bus_, kDestination, kPath, kInterface, "ResetFailedUnit", &error.get, nullptr, "s",
                             unit.c_str());
  }

  Result<> Stop(const std::string& unit) {
    TRY(Listen(unit));
    CallError not_there;
    // Else systemd would ask the processes to end, and wait.
    (void)sd_bus_call_method(bus_, kDestination, kPath, kInterface, "KillUnit", &not_there.get, nullptr, "ssi",
                             unit.c_str(), "all", SIGKILL);
    CallError error;
    Message reply;
    const int result = sd_bus_call_method(bus_, kDestination, kPath, kInterface, "StopUnit", &error.get, &reply.get,
                                          "ss", unit.c_str(), "replace");
    if (result < 0 && error.Is("org.freedesktop.systemd1.NoSuchUnit")) {
      return {};
    }
    if (result < 0) {
      return BusError("cannot stop " + unit, result, &error.get);
    }
    const std::string ended = TRY(AwaitJob(reply.get));
    ResetFailed(unit);
    if (ended != "done") {
      return std::unexpected(Failure("cannot stop " + unit + ": its job ended with " + ended, EIO));
    }
    return {};
  }

  sd_bus* bus_ = nullptr;
  bool listening_ = false;
  Jobs jobs_;
  std::string exists_;
};

Result<> Serve() {
  const std::string text = TRY(ReadAll(STDIN_FILENO, kMaxRequest, "request"));
  const Request request = TRY(Decode(text));
  Manager manager;
  TRY(manager.Connect(request.user));
  return manager.Run(request);
}

}  // namespace
}  // namespace nucleus::systemd

int main() {
  const nucleus::Result<> result = nucleus::systemd::Serve();
  if (!result) {
    (void)nucleus::WriteAll(STDOUT_FILENO, result.error().message.substr(0, nucleus::systemd::kMaxAnswer), "stdout");
    return 1;
  }
  return 0;
}
