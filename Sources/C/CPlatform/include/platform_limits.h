#ifndef S3STORAGE_PLATFORM_LIMITS_H
#define S3STORAGE_PLATFORM_LIMITS_H

/* Raises how many descriptors the process may have open to the most that it may ask for; stays as
   it was on failure. The importer knows getrlimit(2) with one of several types. */
void platform_raise_descriptor_limit(void);

/* How many of them connections may take: the rest is left for files. */
int platform_connection_limit(void);

#endif
