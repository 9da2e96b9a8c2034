#ifndef S3STORAGE_PLATFORM_FILE_H
#define S3STORAGE_PLATFORM_FILE_H
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How platform_open opens: the importer sees neither O_DIRECT nor a variadic open(2). */
enum platform_access {
  platform_access_read = 0,
  platform_access_write = 1,  /* read and write a file that is there */
  platform_access_create = 2, /* make a file that is not there, read and write it */
  platform_access_directory = 3,
};

/* open(2), close-on-exec, never through a symbolic link at the end of the path (directories
   excepted). */
int platform_open(const char *path, int access, int direct);

/* Switches O_DIRECT of an open file off; hidden behind _GNU_SOURCE. */
int platform_set_buffered(int descriptor);

/* fallocate(2) without a change of the size; hidden behind _GNU_SOURCE. */
int platform_allocate(int descriptor, int64_t offset, int64_t count);

/* fallocate(2) that gives the blocks of a range back; hidden behind _GNU_SOURCE. */
int platform_punch_hole(int descriptor, int64_t offset, int64_t count);

/* flock(2) for one owner, without waiting: sys/file.h is not in the importer's module. */
int platform_lock(int descriptor);

/* Ends it, for all copies of the descriptor. */
void platform_unlock(int descriptor);

/* posix_fadvise(2) against reading ahead: its constant is a macro. Returns an errno. */
int platform_advise_random(int descriptor);

/* pwritev(2) of at most 16 runs: sys/uio.h is not in the importer's module. */
ssize_t platform_write(
  int descriptor, const void *const *runs, const size_t *counts, int run_count, int64_t offset);

/* The name of an entry, whose array of fixed size the importer turns into a tuple. */
static inline const char *platform_entry_name(const struct dirent *entry) { return entry->d_name; }

/* 1 for a directory, 0 for anything else, -1 when the file system does not say. */
int platform_entry_is_directory(const struct dirent *entry);

/* statvfs(3), whose name is both a function and a structure: the importer cannot tell them apart. */
struct platform_space {
  uint64_t unit;
  uint64_t blocks;
  uint64_t free_blocks;
  uint64_t available_blocks;
  int is_read_only;
};
int platform_read_space(const char *path, struct platform_space *space);

/* st_mode is tested by macros: 1 when it is a directory's. */
int platform_mode_is_directory(uint32_t mode);

#endif
