// Preloaded into a server under test: leaves out or fails the syncs of files that match.
//
// FAULT_SYNC_DROP   a pattern: matching syncs report success and do nothing
// FAULT_SYNC_FAIL   a pattern: matching syncs report EIO
// FAULT_WRITE_FULL  a pattern: matching writes report ENOSPC
// FAULT_WHILE       a file: faults happen only while it exists
//
// A pattern is `kind:text|text…`: kind `f` for files, `d` for directories, `a` for both; each text
// is a part of the path.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int matches(const char *variable, int descriptor) {
  const char *pattern = getenv(variable);
  if (pattern == NULL || pattern[0] == 0 || pattern[1] != ':') return 0;
  const char *condition = getenv("FAULT_WHILE");
  if (condition != NULL && access(condition, F_OK) != 0) return 0;
  struct stat status;
  int saved = errno;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  int known = length > 0 && fstat(descriptor, &status) == 0;
  errno = saved;
  if (!known) return 0;
  path[length] = 0;
  int is_directory = S_ISDIR(status.st_mode);
  if (!is_directory && !S_ISREG(status.st_mode)) return 0;
  if (pattern[0] == 'f' && is_directory) return 0;
  if (pattern[0] == 'd' && !is_directory) return 0;
  for (const char *text = pattern + 2; text != NULL;) {
    const char *end = strchr(text, '|');
    size_t count = end != NULL ? (size_t)(end - text) : strlen(text);
    if (count > 0 && memmem(path, (size_t)length, text, count) != NULL) return 1;
    text = end != NULL ? end + 1 : NULL;
  }
  return 0;
}

static int faulty_sync(int descriptor, const char *name) {
  if (matches("FAULT_SYNC_DROP", descriptor)) return 0;
  if (matches("FAULT_SYNC_FAIL", descriptor)) {
    errno = EIO;
    return -1;
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return real(descriptor);
}

int fsync(int descriptor) { return faulty_sync(descriptor, "fsync"); }
int fdatasync(int descriptor) { return faulty_sync(descriptor, "fdatasync"); }
int syncfs(int descriptor) { return faulty_sync(descriptor, "syncfs"); }

#define FULL(descriptor)                              \
  if (matches("FAULT_WRITE_FULL", descriptor)) {      \
    errno = ENOSPC;                                   \
    return -1;                                        \
  }

ssize_t write(int descriptor, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (real == NULL) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (getenv("FAULT_WRITE_FULL") != NULL) FULL(descriptor)
  return real(descriptor, bytes, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  FULL(descriptor)
  static ssize_t (*real)(int, const void *, size_t, off_t);
  if (real == NULL) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
  return real(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t offset) {
  return pwrite(descriptor, bytes, count, offset);
}

ssize_t pwritev(int descriptor, const struct iovec *vectors, int count, off_t offset) {
  FULL(descriptor)
  static ssize_t (*real)(int, const struct iovec *, int, off_t);
  if (real == NULL)
    real = (ssize_t (*)(int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev");
  return real(descriptor, vectors, count, offset);
}

ssize_t writev(int descriptor, const struct iovec *vectors, int count) {
  FULL(descriptor)
  static ssize_t (*real)(int, const struct iovec *, int);
  if (real == NULL) real = (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  return real(descriptor, vectors, count);
}
