#ifndef S3STORAGE_PLATFORM_MEMORY_H
#define S3STORAGE_PLATFORM_MEMORY_H
#include <stddef.h>
#include <stdint.h>

/* Fills the run from getrandom(2), which the importer hides behind _GNU_SOURCE; 0 on success. */
int platform_random(void *bytes, size_t count);

/* pthread_setname_np(3) for the calling thread: _GNU_SOURCE again. */
void platform_name_thread(const char *name);

/* mallopt(3): its constants are macros that the importer does not see. Sets how many bytes of
   free memory the allocator keeps, and from which size on it maps. */
void platform_tune_allocator(int trim_threshold, int mmap_threshold, int arenas);

/* malloc_trim(3), which glibc declares in a header of its own that the module map leaves out. */
void platform_trim_allocator(void);

/* Bytes of memory that the process has, shared ones included; 0 where the system does not tell.
   Base has no files. */
int64_t platform_resident_bytes(void);

/* Takes SIGTERM, SIGINT and SIGHUP into a pipe and ignores SIGPIPE; 0 on success. Blocking them
   would not do: the runtime's main thread suspends with an empty mask. Called first of all. */
int platform_hold_signals(void);

/* Waits for one of the signals taken and returns its number. */
int platform_wait_signal(void);

/* environ(7): a global of unknown bound. Entry `index`, NULL behind the last. */
const char *platform_environment(int index);

#endif
