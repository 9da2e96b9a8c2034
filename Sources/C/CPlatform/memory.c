#define _GNU_SOURCE 1
#include "platform_memory.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
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

static sem_t signal_arrived;
static volatile sig_atomic_t last_signal;

static void note_signal(int number) {
  last_signal = number;
  sem_post(&signal_arrived);
}

void platform_hold_signals(void) {
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
  sem_init(&signal_arrived, 0, 0);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

int platform_wait_signal(void) {
  while (sem_wait(&signal_arrived) != 0) {
  }
  return last_signal;
}

const char *platform_environment(int index) { return environ[index]; }

void platform_trim_allocator(void) { malloc_trim(0); }
