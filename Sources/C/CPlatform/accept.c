#define _GNU_SOURCE 1
#include "platform_limits.h"
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Stands before accept4(2) of the C library, for the libraries that listen by themselves: one of
   them takes a lack of descriptors for the end of its listener, which then never accepts again
   (CVE-2023-4785, in libgrpc before 1.53), so that whoever opens enough connections, without any
   certificate, has ended a server.

   A connection whose descriptor is among the last quarter is closed at once: they stay for files. A
   lack of descriptors counts as nobody being there. That suits listeners that do not block: they
   look again when the next client comes. */
int accept4(int listener, struct sockaddr *address, socklen_t *size, int flags) {
  socklen_t room = size ? *size : 0;
  for (;;) {
    if (size) *size = room;
    int descriptor = (int)syscall(SYS_accept4, listener, address, size, flags);
    if (descriptor < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) errno = EAGAIN;
      return -1;
    }
    if (descriptor < platform_connection_limit()) return descriptor;
    close(descriptor);
  }
}
