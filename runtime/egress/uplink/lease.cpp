#include "runtime/egress/uplink/lease.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <memory>
#include <optional>

#include "runtime/sys/syscalls.h"

namespace nucleus::uplink {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr std::size_t kMaxFile = 65536;
constexpr std::size_t kTokenDigits = 16;

Result<std::string> NewToken() {
  std::array<unsigned char, kTokenDigits / 2> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return std::unexpected(SysError("getrandom", ""));
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string token;
  for (const unsigned char byte : random) {
    token += kDigits[byte >> 4U];
    token += kDigits[byte & 0xfU];
  }
  return token;
}

std::string Ports(std::uint32_t first, std::uint32_t count) {
  return std::to_string(first) + "-" + std::to_string(first + count - 1);
}

// As ParsePublish reads it.
std::string FormatPublish(const std::vector<oci::PublishedPort>& ports) {
  std::string text;
  for (const oci::PublishedPort& port : ports) {
    std::array<char, INET6_ADDRSTRLEN> address{};
    text += text.empty() ? "" : ",";
    if (port.host == oci::PublishedPort::Host::kV4) {
      ::inet_ntop(AF_INET, port.address.data(), address.data(), address.size());
      text += std::string{address.data()} + ":";
    } else if (port.host == oci::PublishedPort::Host::kV6) {
      ::inet_ntop(AF_INET6, port.address.data(), address.data(), address.size());
      text += "[" + std::string{address.data()} + "]:";
    }
    text += Ports(port.host_port, port.count) + ":" + Ports(port.container_port, port.count);
    text += port.protocol == oci::PublishedPort::Protocol::kUdp ? "/udp" : "/tcp";
  }
  return text;
}

std::optional<std::uint32_t> Number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return {};
  }
  return number;
}

// "TOKEN PORTS\n"
void Parse(std::string_view text, Lease& lease) {
  if (text.size() < kTokenDigits + 2 || text[kTokenDigits] != ' ' || !text.ends_with('\n')) {
    return;
  }
  const std::string_view ports = text.substr(kTokenDigits + 1, text.size() - kTokenDigits - 2);
  if (!ports.empty()) {
    Result<std::vector<oci::PublishedPort>> parsed = oci::ParsePublish(ports);
    if (!parsed) {
      return;
    }
    lease.publish = *std::move(parsed);
  }
  lease.token = text.substr(0, kTokenDigits);
}

}  // namespace

Result<Leases> Leases::Lock(const std::string& directory, const std::string& netns) {
  if (::mkdir(directory.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    return std::unexpected(SysError("mkdir", directory));
  }
  Fd opened = TRY(sys::Open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const struct stat status = TRY(sys::Fstat(opened.get(), directory));
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  if (status.st_uid != ::geteuid() || (status.st_mode & kOthersWrite) != 0) {
    return std::unexpected(Failure(directory + " is not this user's alone to change", EPERM));
  }
  Fd lock = TRY(sys::OpenAt2(opened.get(), "lock", O_RDWR | O_CREAT, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH, kFileMode));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) {
      return std::unexpected(SysError("lock", directory));
    }
  }
  return Leases{std::move(opened), std::move(lock), netns};
}

Result<std::string> Leases::Read(const std::string& name) const {
  const Fd file = TRY(sys::OpenAt2(directory_.get(), FileOf(name), O_RDONLY, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH));
  return ReadAll(file.get(), kMaxFile, FileOf(name));
}

Result<> Leases::Write(const std::string& name, const std::string& text) const {
  constexpr const char* kNew = "new";
  {
    const Fd file = TRY(sys::OpenAt2(directory_.get(), kNew, O_WRONLY | O_CREAT | O_TRUNC,
                                     RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH, kFileMode));
    TRY(WriteAll(file.get(), text, FileOf(name)));
  }
  if (::renameat(directory_.get(), kNew, directory_.get(), FileOf(name).c_str()) != 0) {
    return std::unexpected(SysError("rename", FileOf(name)));
  }
  return {};
}

Result<> Leases::Delete(const std::string& name) const {
  if (::unlinkat(directory_.get(), FileOf(name).c_str(), 0) != 0 && errno != ENOENT) {
    return std::unexpected(SysError("unlink", FileOf(name)));
  }
  return {};
}

Result<std::vector<Lease>> Leases::List() const {
  Fd again = TRY(sys::OpenAt2(directory_.get(), ".", O_RDONLY | O_DIRECTORY, 0));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries{::fdopendir(again.get()), &::closedir};
  if (!entries) {
    return std::unexpected(SysError("fdopendir", "leases"));
  }
  again.Release();
  std::vector<Lease> leases;
  const std::string prefix = netns_ + "-";
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name{entry->d_name};
    if (!name.starts_with(prefix)) {
      continue;
    }
    const std::optional<std::uint32_t> number = Number(name.substr(prefix.size()));
    if (!number) {
      continue;
    }
    Lease lease{.number = *number, .token = {}, .publish = {}};
    if (const Result<std::string> text = Read(std::to_string(*number))) {
      Parse(*text, lease);
    }
    leases.push_back(std::move(lease));
  }
  return leases;
}

Result<Lease> Leases::Take(std::uint32_t number, const std::vector<oci::PublishedPort>& publish) const {
  const std::string name = std::to_string(number);
  if (::faccessat(directory_.get(), FileOf(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    return std::unexpected(SysError("take", FileOf(name), EEXIST));
  }
  Lease lease{.number = number, .token = TRY(NewToken()), .publish = publish};
  TRY(Write(name, lease.token + " " + FormatPublish(publish) + "\n"));
  return lease;
}

Result<> Leases::Drop(std::uint32_t number) const {
  return Delete(std::to_string(number));
}

}  // namespace nucleus::uplink
