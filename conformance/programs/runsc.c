// What test_model_gvisor.py lets nucleus take for runsc. It answers what it is asked about itself; for the rest it
// waits for signals: USR1 to do the next thing (create: make a sandbox, then say its pid; exec: make a process; else
// nothing), TERM to end well, INT to end badly. Its name (comm) tells how far it is. A sandbox and a process of exec
// wait for their death; a sandbox is let run by USR1, and a process of exec ends with its sandbox.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigset_t heard;

static int next(const char* name) {
  prctl(PR_SET_NAME, name);
  int signal = 0;
  sigwait(&heard, &signal);
  return signal;
}

static const char* after(char** words, const char* name) {
  for (; words[0] != NULL && words[1] != NULL; ++words) {
    if (strcmp(words[0], name) == 0) {
      return words[1];
    }
  }
  return NULL;
}

static int has(char** words, const char* name) {
  for (; *words != NULL; ++words) {
    if (strcmp(*words, name) == 0) {
      return 1;
    }
  }
  return 0;
}

static void say(const char* path, int number) {
  FILE* file = fopen(path, "w");
  if (file == NULL || fprintf(file, "%d", number) < 0 || fclose(file) != 0) {
    exit(9);
  }
}

static int read_number(const char* path) {
  int number = 0;
  FILE* file = fopen(path, "r");
  if (file == NULL || fscanf(file, "%d", &number) != 1) {
    exit(9);
  }
  fclose(file);
  return number;
}

static void be_sandbox(void) {
  prctl(PR_SET_PDEATHSIG, 0);
  setsid();
  const char* names[] = {"box.making", "box.waiting", "box.running"};
  for (int at = 0;;) {
    if (next(names[at]) == SIGUSR1 && at < 2) {
      ++at;
    }
  }
}

static void be_process(int sandbox) {
  prctl(PR_SET_NAME, "guest");
  setsid();
  struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, sandbox, 0), .events = POLLIN};
  if (end.fd >= 0) {
    poll(&end, 1, -1);
  }
  _exit(0);
}

int main(int count, char** words) {
  if (has(words, "--version")) {
    puts("runsc version release-20990101.0\nspec: 1.1.0-rc.1");
    return 0;
  }
  if (has(words, "flags")) {
    puts(
        "Usage: runsc <flags> <subcommand>\n  -ignore-cgroups\n    \tx\n  -log string\n    \tx\n  -network value\n    "
        "\tx\n"
        "  -platform string\n    \tspecifies which platform to use: systrap (default), ptrace.\n  -root string\n    "
        "\tx");
    return 0;
  }
  sigemptyset(&heard);
  sigaddset(&heard, SIGUSR1);
  sigaddset(&heard, SIGTERM);
  sigaddset(&heard, SIGINT);
  sigprocmask(SIG_BLOCK, &heard, NULL);
  const char* known = NULL;  // where the sandbox's pid is kept
  char place[4096];
  for (char** word = words; *word != NULL; ++word) {
    if (strncmp(*word, "--root=", 7) == 0) {
      snprintf(place, sizeof place, "%s/sandbox", *word + 7);
      known = place;
    }
  }
  if (count < 2 || known == NULL) {
    return 9;
  }
  const char* file = after(words, "-pid-file");
  const char* names[] = {"tool.works", "tool.forked", "tool.said", "tool.acted"};
  int sandbox = 0;
  for (int at = 0;;) {
    switch (next(names[at])) {
      case SIGTERM:
        return 0;
      case SIGINT:
        return 3;
      default:
        break;
    }
    if (at >= 2) {
      continue;
    }
    if (has(words, "create") && at == 0) {
      sandbox = fork();
      if (sandbox == 0) {
        be_sandbox();
      }
      at = 1;
    } else if (has(words, "create")) {
      say(known, sandbox);
      say(file, sandbox);
      kill(sandbox, SIGUSR1);
      at = 2;
    } else if (has(words, "exec")) {
      const int box = read_number(known);
      const int process = fork();
      if (process == 0) {
        be_process(box);
      }
      say(file, process);
      say(after(words, "-internal-pid-file"), 1);
      at = 3;
    } else {
      at = 3;
    }
  }
}
