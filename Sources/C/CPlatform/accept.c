#define _GNU_SOURCE 1
#include "platform_limits.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Strangers are let go of after ten seconds, and cost 80 KiB until then where they begin TLS. */
enum { MAXIMUM_CONNECTIONS = 2048 };

static int descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX) return INT_MAX;
  return (int)limit.rlim_cur;
}

void platform_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int platform_connection_limit(void) {
  int limit = descriptor_limit();
  return limit - limit / 4;
}

static int sockets_below(int end) {
  int count = 0;
  for (int descriptor = 0; descriptor < end; descriptor++) {
    struct stat found;
    if (fstat(descriptor, &found) == 0 && S_ISSOCK(found.st_mode)) count++;
  }
  return count;
}

/* Whether too many are connected for one more, which would be `descriptor`: the lowest that was
   free, so that a look at those below it is seldom needed. While a crowd comes there is one look in
   a tenth of a second. */
static int is_crowded(int descriptor) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static int64_t crowded_until;
  if (descriptor < MAXIMUM_CONNECTIONS) return 0;
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  int64_t now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
  pthread_mutex_lock(&lock);
  int crowded = now < crowded_until;
  if (!crowded && sockets_below(descriptor) >= MAXIMUM_CONNECTIONS) {
    crowded = 1;
    crowded_until = now + 100;
  }
  pthread_mutex_unlock(&lock);
  return crowded;
}

/* Stands before accept4(2) of the C library, for the libraries that listen by themselves: one of
   them takes a lack of descriptors for the end of its listener, which then never accepts again
   (CVE-2023-4785, in libgrpc before 1.53), so that whoever opens enough connections, without any
   certificate, has ended a server. Nor does it bound how many there are.

   A connection beyond the bound, or whose descriptor is among the last quarter, which files need,
   is closed at once. A lack of descriptors counts as nobody being there: that suits listeners that
   do not block, which look again when the next client comes. */
int accept4(int listener, struct sockaddr *address, socklen_t *size, int flags) {
  socklen_t room = size ? *size : 0;
  for (;;) {
    if (size) *size = room;
    int descriptor = (int)syscall(SYS_accept4, listener, address, size, flags);
    if (descriptor < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) errno = EAGAIN;
      return -1;
    }
    if (descriptor < platform_connection_limit() && !is_crowded(descriptor)) return descriptor;
    close(descriptor);
  }
}
