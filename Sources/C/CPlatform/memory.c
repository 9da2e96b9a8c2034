#define _GNU_SOURCE 1
#include "platform_memory.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
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

static void stop_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
}

void platform_hold_signals(void) {
  sigset_t set;
  stop_signals(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
}

int platform_wait_signal(void) {
  sigset_t set;
  int number = 0;
  stop_signals(&set);
  while (sigwait(&set, &number) != 0) {
  }
  return number;
}

const char *platform_environment(int index) { return environ[index]; }

void platform_trim_allocator(void) { malloc_trim(0); }
