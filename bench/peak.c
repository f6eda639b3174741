// The peak resident set of one process, without that of its children:
//
//   peak COMMAND [ARGUMENT...]
//
// prints "VmHWM: N kB" of COMMAND on descriptor 3. wait4's ru_maxrss would mix in reaped children and the memory that
// this process had before execve; VmHWM belongs to the address space alone. It is read at the exit stop, when the
// address space is still there.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void Check(long result, const char* what) {
  if (result < 0) {
    fprintf(stderr, "peak: %s: %s\n", what, strerror(errno));
    exit(125);
  }
}

static void Report(pid_t pid) {
  char path[64];
  char line[256];
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE* file = fopen(path, "re");
  Check(file != NULL ? 0 : -1, path);
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "VmHWM:", 6) == 0) {
      dprintf(3, "%s", line);
    }
  }
  fclose(file);
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: peak COMMAND [ARGUMENT...] 3>FILE\n");
    return 2;
  }
  const pid_t pid = fork();
  Check(pid, "fork");
  if (pid == 0) {
    Check(ptrace(PTRACE_TRACEME, 0, 0, 0), "PTRACE_TRACEME");
    raise(SIGSTOP);
    close(3);
    execvp(argv[1], argv + 1);
    Check(-1, argv[1]);
  }
  int status = 0;
  Check(waitpid(pid, &status, 0), "waitpid");
  Check(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL),
        "PTRACE_SETOPTIONS");
  Check(ptrace(PTRACE_CONT, pid, 0, 0), "PTRACE_CONT");
  for (;;) {
    Check(waitpid(pid, &status, 0), "waitpid");
    if (WIFEXITED(status)) {
      return WEXITSTATUS(status);
    }
    if (WIFSIGNALED(status)) {
      return 128 + WTERMSIG(status);
    }
    int deliver = 0;
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
      Report(pid);
    } else if (status >> 16 == 0) {
      deliver = WSTOPSIG(status);
    }
    Check(ptrace(PTRACE_CONT, pid, 0, deliver), "PTRACE_CONT");
  }
}
