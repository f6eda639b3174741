// `nucleus attach`.

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <optional>

#include "base/fd.h"
#include "front/commands/commands.h"
#include "front/commands/detach_keys.h"
#include "front/service/control.h"
#include "front/service/record.h"
#include "front/service/supervisor.h"

namespace nucleus::front {
namespace {

// The caller's terminal in raw mode, for as long as this lives.
class RawMode {
 public:
  explicit RawMode(bool wanted) {
    termios current{};
    if (wanted && ::tcgetattr(STDIN_FILENO, &current) == 0) {
      saved_ = current;
      ::cfmakeraw(&current);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &current);
    }
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode() {
    if (saved_) {
      ::tcsetattr(STDIN_FILENO, TCSANOW, &*saved_);
    }
  }

 private:
  std::optional<termios> saved_;
};

void SendSize(int socket) {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) {
    (void)Send(socket, Word::kSize, std::to_string(size.ws_row) + " " + std::to_string(size.ws_col));
  }
}

class Attached {
 public:
  Attached(const AttachCommand& command, const ServiceStatus& status, Fd socket, Fd signals)
      : command_(command),
        status_(status),
        socket_(std::move(socket)),
        signals_(std::move(signals)),
        keys_(::isatty(STDIN_FILENO) == 1 ? command.detach_keys : std::string{}),
        input_open_(!command.no_input && status.keeps_input) {
  }

  Result<int> Run() {
    const RawMode raw{status_.terminal && input_open_};
    TRY(Send(socket_.get(), Word::kAttach));
    if (status_.terminal) {
      SendSize(socket_.get());
    }
    while (!detached_) {
      std::array<pollfd, 3> entries = {{{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                                        {.fd = signals_.get(), .events = POLLIN, .revents = 0},
                                        {.fd = input_open_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}}};
      if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
        return std::unexpected(SysError("poll", ""));
      }
      if (entries[0].revents != 0) {
        const std::optional<Packet> packet = TRY(Receive(socket_.get()));
        if (!packet) {
          return std::unexpected(Failure(command_.id + ": the connection has ended", ECONNRESET));
        }
        if (packet->word == Word::kEnd) {
          int status = 1;
          std::from_chars(packet->text.data(), packet->text.data() + packet->text.size(), status);
          return status;
        }
        TRY(WriteAll(packet->word == Word::kError ? STDERR_FILENO : STDOUT_FILENO, packet->text, "stdout"));
      }
      if (entries[1].revents != 0) {
        HandleSignals();
      }
      if (entries[2].revents != 0) {
        TRY(ReadInput());
      }
    }
    return 0;
  }

 private:
  void HandleSignals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      switch (const int signal = static_cast<int>(info.ssi_signo); signal) {
        case SIGWINCH:
          SendSize(socket_.get());
          break;
        case SIGHUP:
          detached_ = true;  // its terminal has gone, and nobody asked for the sandbox's end
          break;
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
        case SIGCHLD:
        case SIGCONT:
          break;
        default:
          (void)Send(socket_.get(), Word::kSignal, std::to_string(signal));
      }
    }
  }

  Result<> ReadInput() {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
      return {};
    }
    if (count <= 0) {
      input_open_ = false;
      return status_.terminal ? Result<>{} : Send(socket_.get(), Word::kInputEnd);
    }
    std::string pass;
    detached_ = keys_.Feed({buffer.data(), static_cast<std::size_t>(count)}, pass);
    return pass.empty() ? Result<>{} : Send(socket_.get(), Word::kInput, pass);
  }

  const AttachCommand& command_;
  const ServiceStatus& status_;
  Fd socket_;
  Fd signals_;
  DetachKeys keys_;
  bool input_open_;
  bool detached_ = false;
};

}  // namespace

Result<int> RunAttach(const Globals& globals, const AttachCommand& command) {
  const ServiceStatus status = TRY(ReadService(globals, command.id));
  if (status.Over()) {
    return std::unexpected(Failure(command.id + ": it has ended"));
  }
  Fd socket = TRY_IN(command.id, ConnectSupervisor(globals, command.id));
  Attached attached{command, status, std::move(socket), TRY(SupervisorSignals())};
  return attached.Run();
}

}  // namespace nucleus::front
