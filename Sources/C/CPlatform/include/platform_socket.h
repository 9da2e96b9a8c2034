#ifndef S3STORAGE_PLATFORM_SOCKET_H
#define S3STORAGE_PLATFORM_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Sockets and readiness for an event loop. Every function that can fail returns a negative errno:
// Swift code between a system call and its errno could otherwise overwrite it.

// One readiness report: epoll_event is a packed union, which does not import well.
struct platform_event {
  uint64_t tag;
  uint32_t readiness;
};

// An address of either family in one shape: an IPv4 address fills the first four bytes.
struct platform_address {
  uint8_t bytes[16];
  uint16_t port;
  uint8_t is_ipv6;
};

// The EPOLL constants as plain numbers: EPOLLET is not importable, being 1u << 31 of an enum.
enum {
  PLATFORM_READABLE = 1,
  PLATFORM_WRITABLE = 2,
  PLATFORM_PEER_CLOSED_WRITING = 4,
  PLATFORM_DISCONNECTED = 8,
};

int platform_epoll_create(void);
// Level-triggered, reading only; `enabled` 0 keeps it registered and silent.
int platform_epoll_add_listener(int epoll, int descriptor, uint64_t tag);
int platform_epoll_enable_listener(int epoll, int descriptor, uint64_t tag, int enabled);
// Edge-triggered, both directions and the peer's half-close.
int platform_epoll_add_connection(int epoll, int descriptor, uint64_t tag);
// At most 256 reports; 0 after the time-out or a signal. -1 milliseconds waits without limit.
int platform_epoll_wait(int epoll, struct platform_event *events, int capacity, int milliseconds);

int platform_wakeup_create(void);
void platform_wakeup_signal(int descriptor);
void platform_wakeup_clear(int descriptor);

// A numeric IPv4 or IPv6 address; "::" takes both families.
int platform_listen(const char *address, uint16_t port, int backlog);
int platform_local_address(int descriptor, struct platform_address *address);
// Accepts a non-blocking, close-on-exec connection with Nagle's delay off.
int platform_accept(int listener, struct platform_address *peer);
// Fills the first run, then the second, in one call.
ssize_t platform_receive(
    int descriptor, void *first, size_t first_count, void *second, size_t second_count);
// Sends three runs in one call, without SIGPIPE.
ssize_t platform_send(
    int descriptor, const void *first, size_t first_count, const void *second,
    size_t second_count, const void *third, size_t third_count);
// The bytes that have arrived and were not received yet.
int platform_pending_bytes(int descriptor);
int platform_shutdown_writing(int descriptor);
int platform_shutdown_both(int descriptor);
// Makes the close that follows a reset, which no peer takes for the end of a body.
void platform_reset_on_close(int descriptor);
void platform_close(int descriptor);

// Blocks the asynchronous signals in the calling thread: OpenSSL writes without MSG_NOSIGNAL.
void platform_block_signals(void);
// Coarse clocks: milliseconds that never go back, and seconds since 1970.
int64_t platform_monotonic_milliseconds(void);
int64_t platform_unix_seconds(void);

#endif
