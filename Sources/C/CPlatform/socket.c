#define _GNU_SOURCE 1
#include "platform_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MAXIMUM_EVENTS = 256 };

static int control(int epoll, int operation, int descriptor, uint32_t events, uint64_t tag) {
  struct epoll_event event = {.events = events, .data.u64 = tag};
  return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

int platform_epoll_create(void) {
  int descriptor = epoll_create1(EPOLL_CLOEXEC);
  return descriptor < 0 ? -errno : descriptor;
}

int platform_epoll_add_listener(int epoll, int descriptor, uint64_t tag) {
  return control(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN, tag);
}

int platform_epoll_enable_listener(int epoll, int descriptor, uint64_t tag, int enabled) {
  return control(epoll, EPOLL_CTL_MOD, descriptor, enabled ? EPOLLIN : 0, tag);
}

int platform_epoll_add_connection(int epoll, int descriptor, uint64_t tag) {
  return control(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, tag);
}

int platform_epoll_wait(int epoll, struct platform_event *events, int capacity, int milliseconds) {
  struct epoll_event raw[MAXIMUM_EVENTS];
  if (capacity > MAXIMUM_EVENTS) capacity = MAXIMUM_EVENTS;
  int count = epoll_wait(epoll, raw, capacity, milliseconds);
  if (count < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < count; i++) {
    uint32_t bits = raw[i].events, readiness = 0;
    if (bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readiness |= PLATFORM_READABLE;
    if (bits & (EPOLLOUT | EPOLLHUP | EPOLLERR)) readiness |= PLATFORM_WRITABLE;
    if (bits & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readiness |= PLATFORM_PEER_CLOSED_WRITING;
    if (bits & (EPOLLHUP | EPOLLERR)) readiness |= PLATFORM_DISCONNECTED;
    events[i].tag = raw[i].data.u64;
    events[i].readiness = readiness;
  }
  return count;
}

int platform_wakeup_create(void) {
  int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return descriptor < 0 ? -errno : descriptor;
}

void platform_wakeup_signal(int descriptor) {
  uint64_t one = 1;
  // A full counter is a pending wake-up already.
  while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void platform_wakeup_clear(int descriptor) {
  uint64_t value;
  while (read(descriptor, &value, sizeof value) < 0 && errno == EINTR) {
  }
}

static int listen_on(int descriptor, const struct sockaddr *address, socklen_t size, int backlog) {
  int one = 1;
  if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0) return -errno;
  if (bind(descriptor, address, size) < 0) return -errno;
  return listen(descriptor, backlog) < 0 ? -errno : 0;
}

int platform_listen(const char *address, uint16_t port, int backlog) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  int is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) return -EINVAL;
  int descriptor =
      socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  int result;
  if (is_v4) {
    result = listen_on(descriptor, (const struct sockaddr *)&v4, sizeof v4, backlog);
  } else {
    int off = 0;
    setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    result = listen_on(descriptor, (const struct sockaddr *)&v6, sizeof v6, backlog);
  }
  if (result < 0) {
    close(descriptor);
    return result;
  }
  return descriptor;
}

static void convert(const struct sockaddr_storage *storage, struct platform_address *address) {
  memset(address, 0, sizeof *address);
  if (storage->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)storage;
    memcpy(address->bytes, &v4->sin_addr, 4);
    address->port = ntohs(v4->sin_port);
  } else if (storage->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)storage;
    address->port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      memcpy(address->bytes, v6->sin6_addr.s6_addr + 12, 4);
    } else {
      memcpy(address->bytes, v6->sin6_addr.s6_addr, 16);
      address->is_ipv6 = 1;
    }
  }
}

int platform_local_address(int descriptor, struct platform_address *address) {
  struct sockaddr_storage storage;
  socklen_t size = sizeof storage;
  if (getsockname(descriptor, (struct sockaddr *)&storage, &size) < 0) return -errno;
  convert(&storage, address);
  return 0;
}

int platform_accept(int listener, struct platform_address *peer) {
  struct sockaddr_storage storage;
  memset(&storage, 0, sizeof storage);
  socklen_t size = sizeof storage;
  // Not the process's own accept4, which hides a lack of descriptors: the loop pauses then.
  int descriptor = (int)syscall(
      SYS_accept4, listener, &storage, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (descriptor < 0) return -errno;
  int one = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  convert(&storage, peer);
  return descriptor;
}

ssize_t platform_receive(
    int descriptor, void *first, size_t first_count, void *second, size_t second_count) {
  ssize_t count;
  do {
    if (second_count == 0) {
      count = recv(descriptor, first, first_count, 0);
    } else {
      struct iovec runs[2] = {
          {.iov_base = first, .iov_len = first_count},
          {.iov_base = second, .iov_len = second_count},
      };
      count = readv(descriptor, runs, 2);
    }
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

ssize_t platform_send(
    int descriptor, const void *first, size_t first_count, const void *second,
    size_t second_count, const void *third, size_t third_count) {
  struct iovec runs[3];
  int used = 0;
  if (first_count) {
    runs[used].iov_base = (void *)first;
    runs[used++].iov_len = first_count;
  }
  if (second_count) {
    runs[used].iov_base = (void *)second;
    runs[used++].iov_len = second_count;
  }
  if (third_count) {
    runs[used].iov_base = (void *)third;
    runs[used++].iov_len = third_count;
  }
  struct msghdr message = {.msg_iov = runs, .msg_iovlen = (size_t)used};
  ssize_t count;
  do {
    count = sendmsg(descriptor, &message, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

int platform_pending_bytes(int descriptor) {
  int count = 0;
  return ioctl(descriptor, FIONREAD, &count) < 0 ? -errno : count;
}

int platform_shutdown_writing(int descriptor) {
  return shutdown(descriptor, SHUT_WR) < 0 ? -errno : 0;
}

int platform_shutdown_both(int descriptor) {
  return shutdown(descriptor, SHUT_RDWR) < 0 ? -errno : 0;
}

void platform_reset_on_close(int descriptor) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void platform_close(int descriptor) { close(descriptor); }

void platform_block_signals(void) {
  sigset_t signals;
  sigfillset(&signals);
  // Faults must still end the process with a core dump, and profilers still sample the thread.
  const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};
  for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) sigdelset(&signals, kept[i]);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int64_t platform_monotonic_milliseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t platform_unix_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME_COARSE, &time);
  return (int64_t)time.tv_sec;
}
