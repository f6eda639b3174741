// The lowest that any runtime could do for the bundle of `runc spec`: its namespaces, its seven mounts, its masked and
// read-only paths, pivot_root, execve, wait. No config.json, no state, no cgroup, no devices, no confinement: what a
// runtime takes beyond this is its own.
//
//   floor ROOTFS COMMAND [ARGUMENT...]
//
// ROOTFS must have the directories that the mounts need (bench/start.sh makes such a tree).

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kNamespaces = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP };

static void Check(int result, const char* what) {
  if (result < 0) {
    dprintf(STDERR_FILENO, "floor: %s: %s\n", what, strerror(errno));
    _exit(125);
  }
}

// One file system through the mount API. `options` are key, value pairs; NULL ends them, a NULL value is a flag.
static int MakeMount(const char* type, const char* const* options, unsigned attributes) {
  const int context = fsopen(type, FSOPEN_CLOEXEC);
  Check(context, type);
  for (; options != NULL && options[0] != NULL; options += 2) {
    Check(fsconfig(context, options[1] != NULL ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, options[0], options[1], 0),
          options[0]);
  }
  Check(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), type);
  const int mount = fsmount(context, FSMOUNT_CLOEXEC, attributes);
  Check(mount, type);
  close(context);
  return mount;
}

static void Place(int mount, int root, const char* target) {
  Check(move_mount(mount, "", root, target, MOVE_MOUNT_F_EMPTY_PATH), target);
}

static void Mount(int root, const char* target, const char* type, const char* const* options, unsigned attributes) {
  const int mount = MakeMount(type, options, attributes);
  Place(mount, root, target);
  close(mount);
}

static void SetReadOnly(int mount, unsigned flags) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  Check(mount_setattr(mount, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes), "mount_setattr");
}

static void MountAll(int root) {
  const unsigned strict = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
  static const char* const dev[] = {"mode", "755", "size", "65536k", NULL};
  static const char* const pts[] = {"newinstance", NULL, "ptmxmode", "0666", "mode", "0620", "gid", "5", NULL};
  static const char* const shm[] = {"mode", "1777", "size", "65536k", NULL};
  static const char* const small[] = {"mode", "755", NULL};
  Mount(root, "proc", "proc", NULL, 0);
  Mount(root, "dev", "tmpfs", dev, MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
  Check(mkdirat(root, "dev/pts", 0755), "dev/pts");
  Check(mkdirat(root, "dev/shm", 0755), "dev/shm");
  Check(mkdirat(root, "dev/mqueue", 0755), "dev/mqueue");
  Mount(root, "dev/pts", "devpts", pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  Mount(root, "dev/shm", "tmpfs", shm, strict);
  Mount(root, "dev/mqueue", "mqueue", NULL, strict);
  Mount(root, "sys", "sysfs", NULL, strict | MOUNT_ATTR_RDONLY);

  // The seventh, "cgroup": on a host with v1 it is a tmpfs with a mount of every hierarchy; on a v2 host, cgroup2
  // itself.
  if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
    Mount(root, "sys/fs/cgroup", "cgroup2", NULL, strict | MOUNT_ATTR_RDONLY);
    return;
  }
  const int directory = MakeMount("tmpfs", small, strict);
  static const char* const hierarchies[] = {"cpu",     "cpuacct", "cpuset", "memory",  "devices",
                                            "freezer", "blkio",   "pids",   "systemd", NULL};
  for (const char* const* name = hierarchies; *name != NULL; ++name) {
    char path[64];
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s", *name);
    const int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) {
      continue;  // a host without this hierarchy
    }
    Check(mkdirat(directory, *name, 0755), path);
    SetReadOnly(tree, 0);
    // Mounts can be placed only below an attached mount: the parent comes first.
    if (name == hierarchies) {
      Place(directory, root, "sys/fs/cgroup");
    }
    Place(tree, directory, *name);
    close(tree);
  }
  SetReadOnly(directory, 0);
  close(directory);
}

static void Mask(int root) {
  static const char* const masked[] = {"proc/acpi",
                                       "proc/asound",
                                       "proc/kcore",
                                       "proc/keys",
                                       "proc/latency_stats",
                                       "proc/timer_list",
                                       "proc/timer_stats",
                                       "proc/sched_debug",
                                       "sys/firmware",
                                       "proc/scsi",
                                       NULL};
  static const char* const readonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger", NULL};
  int empty = -1;
  for (const char* const* path = masked; *path != NULL; ++path) {
    struct stat status;
    if (fstatat(root, *path, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    int cover = -1;
    if (!S_ISDIR(status.st_mode)) {
      cover = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    } else if (empty < 0) {
      cover = empty = MakeMount("tmpfs", NULL, MOUNT_ATTR_RDONLY);
    } else {
      cover = open_tree(empty, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    }
    Check(cover, *path);
    Place(cover, root, *path);
  }
  for (const char* const* path = readonly; *path != NULL; ++path) {
    const int tree = open_tree(root, *path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0) {
      continue;
    }
    SetReadOnly(tree, AT_RECURSIVE);
    Place(tree, root, *path);
    close(tree);
  }
}

static void Child(const char* rootfs, char** command) {
  Check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
  const int root = open_tree(AT_FDCWD, rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  Check(root, rootfs);
  Check(move_mount(root, "", AT_FDCWD, rootfs, MOVE_MOUNT_F_EMPTY_PATH), rootfs);
  MountAll(root);
  Mask(root);
  SetReadOnly(root, 0);
  Check(sethostname("floor", 5), "sethostname");
  Check(fchdir(root), "fchdir");
  Check((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
  Check(umount2(".", MNT_DETACH), "umount");
  Check(chdir("/"), "chdir");
  char* const environment[] = {NULL};
  execve(command[0], command, environment);
  Check(-1, command[0]);
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: floor ROOTFS COMMAND [ARGUMENT...]\n");
    return 2;
  }
  struct clone_args arguments = {.flags = kNamespaces, .exit_signal = SIGCHLD};
  const pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  Check(pid, "clone3");
  if (pid == 0) {
    Child(argv[1], argv + 2);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
