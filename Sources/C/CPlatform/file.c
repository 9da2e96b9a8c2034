#define _GNU_SOURCE 1
#include "platform_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

int platform_open(const char *path, int access, int direct) {
  int flags = O_CLOEXEC;
  switch (access) {
    case platform_access_read: flags |= O_RDONLY | O_NOFOLLOW; break;
    case platform_access_write: flags |= O_RDWR | O_NOFOLLOW; break;
    case platform_access_create: flags |= O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW; break;
    case platform_access_directory: flags |= O_RDONLY | O_DIRECTORY; break;
    default: errno = EINVAL; return -1;
  }
  if (direct) flags |= O_DIRECT;
  return open(path, flags, 0600);
}

int platform_set_buffered(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags & ~O_DIRECT);
}

int platform_allocate(int descriptor, int64_t offset, int64_t count) {
  return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, count);
}

int platform_punch_hole(int descriptor, int64_t offset, int64_t count) {
  return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int platform_lock(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB); }

void platform_unlock(int descriptor) { (void)flock(descriptor, LOCK_UN); }

int platform_advise_random(int descriptor) {
  return posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM);
}

ssize_t platform_write(
  int descriptor, const void *const *runs, const size_t *counts, int run_count, int64_t offset) {
  struct iovec vectors[16];
  if (run_count < 1 || run_count > 16) {
    errno = EINVAL;
    return -1;
  }
  for (int index = 0; index < run_count; index++) {
    vectors[index].iov_base = (void *)runs[index];
    vectors[index].iov_len = counts[index];
  }
  return pwritev(descriptor, vectors, run_count, offset);
}

int platform_entry_is_directory(const struct dirent *entry) {
  if (entry->d_type == DT_UNKNOWN) return -1;
  return entry->d_type == DT_DIR;
}

int platform_mode_is_directory(uint32_t mode) { return S_ISDIR(mode); }

int platform_read_space(const char *path, struct platform_space *space) {
  struct statvfs found;
  if (statvfs(path, &found) != 0) return -1;
  space->unit = found.f_frsize;
  space->blocks = found.f_blocks;
  space->free_blocks = found.f_bfree;
  space->available_blocks = found.f_bavail;
  space->is_read_only = (found.f_flag & ST_RDONLY) != 0;
  return 0;
}
