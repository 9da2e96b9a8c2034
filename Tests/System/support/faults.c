// Preloaded into a server under test: leaves out or fails the syncs of files that match.
//
// FAULT_SYNC_DROP   a pattern: matching syncs report success and do nothing
// FAULT_SYNC_FAIL   a pattern: matching syncs report EIO
// FAULT_WRITE_FULL  a pattern: matching writes report ENOSPC
// FAULT_WHILE       a file: faults happen only while it exists
//
// STRICT_ROOT       a directory whose synced content is kept, see below
// STRICT_SHADOW     where it is kept
//
// A pattern is `kind:text|text…`: kind `f` for files, `d` for directories, `a` for both; each text
// is a part of the path, one with `$` behind it is its end.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
    if (count > 1 && text[count - 1] == '$') {
      count -= 1;
      if (count <= (size_t)length && memcmp(path + length - count, text, count) == 0) return 1;
    } else if (count > 0 && memmem(path, (size_t)length, text, count) != NULL) {
      return 1;
    }
    text = end != NULL ? end + 1 : NULL;
  }
  return 0;
}

// The strict disk: what a power cut may leave where nothing outlives it but what was asked for. A
// file has the content of its last sync, or none; a directory has the names of its last sync. No
// file system keeps so little, and none promises more.
//
// STRICT_SHADOW/files/KEY is the content of a file, STRICT_SHADOW/directories/KEY has a line `kind
// key name` for each entry, and STRICT_SHADOW/root the key of the root.

static void key_of(const struct statx *status, char *key, size_t size) {
  // The same number is given again after a removal, but at another time.
  snprintf(key, size, "%llu-%lld.%09u", (unsigned long long)status->stx_ino,
           (long long)status->stx_btime.tv_sec, status->stx_btime.tv_nsec);
}

static void fail(const char *what) {
  perror(what);
  abort();
}

static void copy_content(int from, const char *target) {
  static char buffer[1 << 20];
  int to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  // By its path, since the descriptor may be for writing only or for whole blocks.
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", from);
  int source = open(link, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (to < 0 || source < 0 || fstat(source, &status) != 0) fail("strict disk: copy");
  for (off_t offset = 0;;) {
    offset = lseek(source, offset, SEEK_DATA);
    if (offset < 0) break;
    off_t end = lseek(source, offset, SEEK_HOLE);
    while (offset < end) {
      size_t wanted = (size_t)(end - offset) < sizeof buffer ? (size_t)(end - offset) : sizeof buffer;
      ssize_t count = syscall(SYS_pread64, source, buffer, wanted, offset);
      if (count <= 0) break;
      if (syscall(SYS_pwrite64, to, buffer, count, offset) != count) fail("strict disk: write");
      offset += count;
    }
    if (offset < end) break;
  }
  if (ftruncate(to, status.st_size) != 0) fail("strict disk: truncate");
  close(source);
  close(to);
}

static void copy_names(int from, const char *target) {
  char link[64], key[96];
  snprintf(link, sizeof link, "/proc/self/fd/%d", from);
  DIR *entries = opendir(link);
  FILE *file = fopen(target, "we");
  if (entries == NULL || file == NULL) fail("strict disk: names");
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    struct statx status;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (statx(dirfd(entries), entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
              &status) != 0)
      continue;
    key_of(&status, key, sizeof key);
    fprintf(file, "%c %s %s\n", S_ISDIR(status.stx_mode) ? 'd' : 'f', key, entry->d_name);
  }
  closedir(entries);
  fclose(file);
}

static void keep(int descriptor) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  const char *root = getenv("STRICT_ROOT"), *shadow = getenv("STRICT_SHADOW");
  if (root == NULL || shadow == NULL) return;
  char link[64], path[4096], key[96], target[4200], passing[4200];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  size_t prefix = strlen(root);
  if (strncmp(path, root, prefix) != 0 || (path[prefix] != 0 && path[prefix] != '/')) return;
  struct statx status;
  if (statx(descriptor, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &status) != 0)
    fail("strict disk: status");
  if (!(status.stx_mask & STATX_BTIME)) fail("strict disk: no time of birth");
  key_of(&status, key, sizeof key);
  int is_directory = S_ISDIR(status.stx_mode);
  snprintf(target, sizeof target, "%s/%s/%s", shadow, is_directory ? "directories" : "files", key);
  snprintf(passing, sizeof passing, "%s/passing-%d", shadow, getpid());
  // One at a time: a later sync must not be overtaken by an earlier one.
  pthread_mutex_lock(&lock);
  if (is_directory)
    copy_names(descriptor, passing);
  else
    copy_content(descriptor, passing);
  if (rename(passing, target) != 0) fail("strict disk: rename");
  if (path[prefix] == 0) {
    snprintf(target, sizeof target, "%s/root", shadow);
    FILE *file = fopen(target, "we");
    if (file == NULL) fail("strict disk: root");
    fputs(key, file);
    fclose(file);
  }
  pthread_mutex_unlock(&lock);
}

static int faulty_sync(int descriptor, const char *name) {
  if (matches("FAULT_SYNC_DROP", descriptor)) return 0;
  if (matches("FAULT_SYNC_FAIL", descriptor)) {
    errno = EIO;
    return -1;
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  int result = real(descriptor);
  int saved = errno;
  if (result == 0) keep(descriptor);
  errno = saved;
  return result;
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
