// nucleus-otel: sends finished spans of a command of nucleus's by OTLP/HTTP, when that has gone. Nobody waits for it,
// and it ends within a bounded time. A program of its own, because an HTTP library is to be had as a shared library
// only.
//
//   nucleus-otel [text|json]     standard input: the request's body; a word: descriptor 3 is a log, in that form
//
// Source: OTLP specification 1.5, "OTLP/HTTP"; libcurl-easy(3).

#include <curl/curl.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "runtime/telemetry/environment.h"
#include "runtime/telemetry/send.h"
#include "shim/cli/log.h"
#include "shim/cli/version.h"

namespace {

using namespace nucleus;
using telemetry::Exporter;

constexpr std::size_t kMaxBody = std::size_t{4} << 20;
constexpr int kTries = 3;
constexpr std::int64_t kFirstPauseMs = 500;

std::int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// It talks to the network, and has nothing else to do: no power of root's, no program to execute, no trace to be looked
// at (the environment has the receiver's keys), and no time that a container could have.
Result<> Confine() {
  constexpr int kNice = 10;
  const std::unique_ptr<_cap_struct, int (*)(void*)> none{::cap_init(), ::cap_free};
  if (::prctl(PR_SET_DUMPABLE, 0) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !none ||
      ::cap_set_proc(none.get()) != 0) {
    return std::unexpected(SysError("confine", "nucleus-otel"));
  }
  (void)::setpriority(PRIO_PROCESS, 0, kNice);
  // The log's directory, or any other, may have to go.
  if (::chdir("/") != 0) {
    return std::unexpected(SysError("chdir", "/"));
  }
  return {};
}

// Whoever ends the unit that the command was part of is kept waiting for no longer than this.
void EndSoon(int /*signal*/) {
  ::alarm(1);
}

// What the receiver says is of no interest, and there may be no end of it.
std::size_t Drop(char* /*bytes*/, std::size_t size, std::size_t count, void* seen) {
  constexpr std::size_t kMost = std::size_t{64} << 10;
  auto& sum = *static_cast<std::size_t*>(seen);
  sum += size * count;
  return sum > kMost ? 0 : size * count;
}

struct Outcome {
  bool taken = false;
  bool again = false;        // another try may help
  std::int64_t wait_ms = 0;  // as the receiver asks for; 0: it does not
  std::string error;
};

class Request {
 public:
  Request(const Exporter& exporter, const std::string& body) : curl_(::curl_easy_init(), ::curl_easy_cleanup) {
    if (!curl_) {
      return;
    }
    curl_slist* list = nullptr;
    for (const std::string& header : exporter.headers) {
      list = ::curl_slist_append(list, header.c_str());
    }
    // Not to be had otherwise: what is sent is this.
    list = ::curl_slist_append(list, "Content-Type: application/json");
    list = ::curl_slist_append(list, "Expect:");
    headers_.reset(list);
    Set(CURLOPT_URL, exporter.url.c_str());
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_HTTPHEADER, headers_.get());
    Set(CURLOPT_USERAGENT, ("nucleus/" + shim::Version()).c_str());
    Set(CURLOPT_POSTFIELDS, body.c_str());
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    Set(CURLOPT_WRITEFUNCTION, &Drop);
    Set(CURLOPT_WRITEDATA, &seen_);
    for (const auto& [option, file] : {std::pair{CURLOPT_CAINFO, &exporter.authority},
                                       {CURLOPT_SSLCERT, &exporter.certificate},
                                       {CURLOPT_SSLKEY, &exporter.key}}) {
      if (!file->empty()) {
        Set(option, file->c_str());
      }
    }
  }

  Outcome Try(std::int64_t timeout_ms) {
    if (!good_) {
      return {.error = "libcurl lacks what is needed"};
    }
    seen_ = 0;
    Set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
    const CURLcode code = ::curl_easy_perform(curl_.get());
    if (code != CURLE_OK) {
      // A name that is not known, nobody who listens, a connection that breaks off.
      const bool again = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
                         code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR;
      return {.again = again, .error = ::curl_easy_strerror(code)};
    }
    long status = 0;
    curl_off_t wait_s = 0;
    ::curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    ::curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &wait_s);
    constexpr curl_off_t kLongestWaitS = 3600;
    return {.taken = status >= 200 && status < 300,
            .again = status == 429 || (status >= 502 && status <= 504),
            .wait_ms = std::min(wait_s, kLongestWaitS) * 1000,
            .error = "the receiver answers with status " + std::to_string(status)};
  }

 private:
  template <class Value>
  void Set(CURLoption option, Value value) {
    good_ = good_ && ::curl_easy_setopt(curl_.get(), option, value) == CURLE_OK;
  }

  std::unique_ptr<CURL, void (*)(CURL*)> curl_;
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers_{nullptr, ::curl_slist_free_all};
  std::size_t seen_ = 0;
  bool good_ = true;
};

// Tries that may help are made until the time is over.
Outcome Deliver(const Exporter& exporter, const std::string& body) {
  const std::int64_t end = NowMs() + exporter.timeout_ms;
  Request request{exporter, body};
  Outcome outcome;
  std::int64_t pause = kFirstPauseMs;
  for (int i = 0; i < kTries; ++i) {
    outcome = request.Try(std::max<std::int64_t>(1, end - NowMs()));
    const std::int64_t wait = std::max(outcome.wait_ms, pause);
    if (outcome.taken || !outcome.again || i + 1 == kTries || NowMs() + wait >= end) {
      break;
    }
    const timespec length{.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1'000'000};
    ::nanosleep(&length, nullptr);
    pause *= 2;
  }
  return outcome;
}

Result<> Run() {
  TRY(Confine());
  const Exporter exporter =
      TRY(telemetry::ReadExporter([](const char* name) -> const char* { return std::getenv(name); }));
  // Whatever happens, a resolver that hangs for one.
  ::signal(SIGTERM, &EndSoon);
  ::alarm(static_cast<unsigned>(exporter.timeout_ms / 1000 + 2));
  for (const std::string& remark : exporter.remarks) {
    shim::Log(shim::Level::kWarning, "telemetry: " + remark);
  }
  const std::string body = TRY(ReadAll(telemetry::kBodyFd, kMaxBody, "stdin"));
  if (::curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return std::unexpected(Failure("libcurl cannot be used"));
  }
  const Outcome outcome = Deliver(exporter, body);
  return outcome.taken ? Result<>{} : std::unexpected(Failure("spans are lost: " + outcome.error));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    shim::AdoptLog(Fd{telemetry::kLogFd}, std::string_view{argv[1]} == "json");
  }
  const Result<> done = Run();
  if (!done) {
    shim::Log(shim::Level::kWarning, "telemetry: " + done.error().message);
  }
  // Nothing is cleaned up that might wait for a thread.
  ::_exit(done ? 0 : 1);
}
