// The terminal of a container: from its own devpts, by descriptors only.

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

Result<Fd> OpenMaster(const Resolver& resolver) {
  Fd master = TRY(resolver.Open("/dev/pts/ptmx", O_RDWR | O_NOCTTY));
  struct statfs filesystem{};
  const struct stat status = TRY(sys::Fstat(master.get(), "/dev/pts/ptmx"));
  if (::fstatfs(master.get(), &filesystem) != 0 || filesystem.f_type != DEVPTS_SUPER_MAGIC ||
      !S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2)) {
    return std::unexpected(Failure("/dev/pts/ptmx: not the multiplexer of a devpts", ENODEV));
  }
  return master;
}

// The slave is bound by its descriptor on an entry that is no link: neither can be exchanged for something else.
Result<> BindDevConsole(const Resolver& resolver, int slave, Ledger* ledger) {
  const Fd dev = TRY(resolver.OpenNoSymlinks("/dev", O_PATH | O_DIRECTORY));
  const Fd made{::openat(dev.get(), "console", O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0600)};
  if (!made && errno != EEXIST) {
    return std::unexpected(SysError("create", "/dev/console"));
  }
  const Fd target = TRY(sys::OpenAt2(dev.get(), "console", O_PATH | O_NOFOLLOW, RESOLVE_BENEATH));
  const struct stat status = TRY(sys::Fstat(target.get(), "/dev/console"));
  if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode)) {
    return std::unexpected(Failure("/dev/console: neither a file nor a device", ENODEV));
  }
  Fd tree = TRY(sys::CloneTree(slave, "", false, "/dev/console"));
  TRY(sys::MoveMount(tree.get(), target.get(), "/dev/console"));
  return Note(ledger, std::move(tree), {.what = Placed::kNode, .path = "/dev/console"});
}

}  // namespace

Result<Console> OpenConsole(const Handles& handles, const std::optional<oci::ConsoleSize>& size,
                            bool make_dev_console) {
  const Resolver resolver{handles.root.get()};
  Console console;
  console.master = TRY(OpenMaster(resolver));
  int unlock = 0;
  if (::ioctl(console.master.get(), TIOCSPTLCK, &unlock) != 0) {
    return std::unexpected(SysError("unlock", "the terminal"));
  }
  console.slave = Fd{::ioctl(console.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!console.slave) {
    return std::unexpected(SysError("open", "the terminal's slave"));
  }
  if (size) {
    const winsize window{.ws_row = static_cast<unsigned short>(size->height),
                         .ws_col = static_cast<unsigned short>(size->width),
                         .ws_xpixel = 0,
                         .ws_ypixel = 0};
    if (::ioctl(console.slave.get(), TIOCSWINSZ, &window) != 0) {
      return std::unexpected(SysError("set the size of", "the terminal"));
    }
  }
  if (make_dev_console) {
    TRY(BindDevConsole(resolver, console.slave.get(), handles.ledger.get()));
  }
  return console;
}

}  // namespace nucleus::rootfs
