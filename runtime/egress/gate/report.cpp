#include "runtime/egress/gate/report.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/json_writer.h"
#include "runtime/container/bundle.h"
#include "runtime/egress/gate/clock.h"

namespace nucleus::gate {

bool Report::May() {
  const std::int64_t now = Milliseconds();
  if (last_ != 0) {
    tokens_ = std::min(kBurst * 1000, tokens_ + (now - last_) * kPerSecond);
  }
  last_ = now;
  if (fd_ < 0 || tokens_ < 1000) {
    ++dropped_;
    return false;
  }
  tokens_ -= 1000;
  return true;
}

void Report::Write(std::string line) {
  line += '\n';
  // A line is shorter than what a pipe takes as a whole or not at all (PIPE_BUF).
  if (::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) {
    dropped_ = 0;
  } else {
    ++dropped_;
  }
}

void Report::Refused(std::string_view name, std::string_view type, std::string_view reason,
                     const std::vector<std::string>& addresses) {
  if (!May()) {
    return;
  }
  JsonWriter json;
  json.BeginObject();
  json.Key("time").String(container::Now()).Key("name").String(name).Key("type").String(type);
  json.Key("reason").String(reason);
  if (!addresses.empty()) {
    constexpr std::size_t kMost = 16;
    json.Key("addresses").BeginArray();
    for (std::size_t i = 0; i < std::min(addresses.size(), kMost); ++i) {
      json.String(addresses[i]);
    }
    json.EndArray();
  }
  if (dropped_ != 0) {
    json.Key("dropped").Uint(dropped_);
  }
  json.EndObject();
  Write(json.Take());
}

void Report::Died(std::string_view process, int status, std::string_view then) {
  if (!May()) {
    return;
  }
  JsonWriter json;
  json.BeginObject();
  json.Key("time").String(container::Now()).Key("died").String(process);
  if (WIFSIGNALED(status)) {
    json.Key("signal").Int(WTERMSIG(status));
  } else {
    json.Key("status").Int(WEXITSTATUS(status));
  }
  json.Key("then").String(then).EndObject();
  Write(json.Take());
}

}  // namespace nucleus::gate
