// Preloaded into the server under measurement: counts sync calls in the file SYNC_COUNT_FILE.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic long *counter;

__attribute__((constructor)) static void open_counter(void) {
  const char *path = getenv("SYNC_COUNT_FILE");
  if (path == NULL) return;
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return;
  void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (memory != MAP_FAILED) counter = memory;
}

#define COUNTED(name)                                                        \
  int name(int descriptor) {                                                 \
    static int (*real)(int);                                                 \
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, #name);          \
    if (counter != NULL) atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); \
    return real(descriptor);                                                 \
  }

COUNTED(fsync)
COUNTED(fdatasync)
COUNTED(syncfs)
