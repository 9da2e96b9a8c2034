#define _GNU_SOURCE 1
#include "platform_memory.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>

int platform_random(void *bytes, size_t count) {
  size_t done = 0;
  while (done < count) {
    ssize_t got = getrandom((char *)bytes + done, count - done, 0);
    if (got > 0) done += (size_t)got;
    else if (errno != EINTR) return -1;
  }
  return 0;
}

void platform_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void platform_tune_allocator(int trim_threshold, int mmap_threshold, int arenas) {
  mallopt(M_TRIM_THRESHOLD, trim_threshold);
  mallopt(M_MMAP_THRESHOLD, mmap_threshold);
  mallopt(M_ARENA_MAX, arenas);
}

static int signal_pipe[2] = {-1, -1};

static void note_signal(int number) {
  int kept = errno;
  unsigned char byte = (unsigned char)number;
  ssize_t written = write(signal_pipe[1], &byte, 1);
  (void)written;
  errno = kept;
}

int platform_hold_signals(void) {
  struct sigaction action = {0};
  if (pipe2(signal_pipe, O_CLOEXEC) != 0) return -1;
  /* A full pipe drops a signal rather than block a handler. */
  if (fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK) != 0) return -1;
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  if (sigaction(SIGTERM, &action, NULL) != 0 || sigaction(SIGINT, &action, NULL) != 0 ||
      sigaction(SIGHUP, &action, NULL) != 0)
    return -1;
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

int platform_wait_signal(void) {
  unsigned char byte = 0;
  while (read(signal_pipe[0], &byte, 1) != 1) {
  }
  return byte;
}

const char *platform_environment(int index) { return environ[index]; }

void platform_trim_allocator(void) { malloc_trim(0); }

int64_t platform_resident_bytes(void) {
  char text[128];
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t count = read(file, text, sizeof text - 1);
  close(file);
  if (count <= 0) return 0;
  text[count] = 0;
  char *second = strchr(text, ' ');
  return second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}
