#ifndef S3STORAGE_PLATFORM_CRC64_H
#define S3STORAGE_PLATFORM_CRC64_H
#include <stddef.h>
#include <stdint.h>

/* CRC-64/NVME, which ISA-L 2.30 lacks: reflected, polynomial 0xad93d23594c93659, all ones before
   and after. Continues from `previous`, which is 0 for the first run. */
uint64_t platform_crc64nvme(uint64_t previous, const void *bytes, size_t count);

/* The same with 128-bit carry-less multiplication at most: what older processors run. */
uint64_t platform_crc64nvme_narrow(uint64_t previous, const void *bytes, size_t count);

/* The same by tables alone, for processors without carry-less multiplication and for tests. */
uint64_t platform_crc64nvme_table(uint64_t previous, const void *bytes, size_t count);

#endif
